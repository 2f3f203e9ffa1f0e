--- The language client: one server for all buffers, started, attached, restarted.
local config = require('santa.config')
local rpc = require('santa.rpc')
local server = require('santa.server')
local status = require('santa.status')

local M = {}
local api = vim.api
local NAME = 'santa'
--- A server that stops by itself is started again, unless it has lived for less than this.
local SHORT_LIFE_MS = 60000

local restarted_at ---@type integer?
local stopping = false
local told_missing = false

--- The display in use: Neovim's own, or ours where Neovim has none or streaming is wanted.
function M.display()
  return require(config.options.streaming and 'santa.own' or M.has_native() and 'santa.native'
    or 'santa.own')
end

---@return boolean
function M.has_native()
  return vim.fn.has('nvim-0.12') == 1
end

--- The running client; with a buffer: only if it is attached there.
---@param buf? integer
---@return vim.lsp.Client?
function M.get(buf)
  for _, client in ipairs(vim.lsp.get_clients({ name = NAME, bufnr = buf })) do
    if not rpc.is_stopped(client) then
      return client
    end
  end
end

---@param buf integer
---@return vim.lsp.Client?
local function client_for_display(buf)
  return status.enabled and M.get(buf) or nil
end

---@param buf integer
---@return boolean
local function wants(buf)
  return api.nvim_buf_is_loaded(buf)
    and vim.bo[buf].buftype == ''
    and config.wants(vim.bo[buf].filetype)
end

local function tell_missing()
  status.set({ state = 'missing' })
  if not told_missing then
    told_missing = true
    local given = config.options.cmd
    local what = given and ('%s cannot be run'):format(given[1]) or 'the server was not found'
    vim.notify(
      ('santa-lsp: %s: %s'):format(what, server.how_to_install),
      vim.log.levels.WARN
    )
  end
end

---@param code integer
---@param signal integer
local function stopped(code, signal)
  M.display().enable(false)
  status.set({ state = 'stopped' })
  if vim.v.exiting ~= vim.NIL then
    return
  elseif stopping then
    stopping = false
    return
  end
  local how = signal ~= 0 and 'signal ' .. signal or 'exit code ' .. code
  local now = vim.uv.now()
  if restarted_at and now - restarted_at < SHORT_LIFE_MS then
    return vim.notify(
      ('santa-lsp: the server stopped again (%s); :Santa log may say why, :Santa restart starts it')
        :format(how),
      vim.log.levels.ERROR
    )
  end
  restarted_at = now
  M.attach_all()
  vim.notify(
    ('santa-lsp: the server stopped (%s) and was started again'):format(how),
    vim.log.levels.WARN
  )
end

local function capabilities()
  return vim.tbl_deep_extend('force', vim.lsp.protocol.make_client_capabilities(), {
    textDocument = { inlineCompletion = { dynamicRegistration = false } },
    experimental = { santa = { status = true } },
  })
end

---@param cmd string[]
---@param buf integer
---@return vim.lsp.ClientConfig
local function client_config(cmd, buf)
  local display = M.display()
  return {
    name = NAME,
    cmd = function(dispatchers)
      return rpc.connect(cmd, dispatchers, function()
        return status.enabled
      end, display.before_reply)
    end,
    root_dir = vim.fs.root(buf, '.git'),
    init_options = config.server_settings(),
    settings = { santa = config.server_settings() },
    capabilities = capabilities(),
    handlers = {
      ['santa/status'] = function(_, result)
        status.set(result)
      end,
      ['$/progress'] = function(err, result, ...)
        if not display.progress(result) then
          return vim.lsp.handlers['$/progress'](err, result, ...)
        end
      end,
    },
    on_attach = function(client, attached)
      display.attach(attached, client)
    end,
    -- Neovim forgets the old client first.
    on_exit = function(code, signal)
      vim.schedule(function()
        vim.schedule(function()
          stopped(code, signal)
        end)
      end)
    end,
  }
end

--- Buffers without a name have the same address for the server: only the one in use is attached.
---@param buf integer
local function leave_other_nameless(buf)
  local client = M.get()
  if not client or api.nvim_buf_get_name(buf) ~= '' then
    return
  end
  for other in pairs(client.attached_buffers) do
    if other ~= buf and api.nvim_buf_get_name(other) == '' then
      vim.lsp.buf_detach_client(other, client.id)
    end
  end
end

--- Give a buffer to the server, which is started when it is not running yet.
---@param buf integer
function M.attach(buf)
  if not wants(buf) or M.get(buf) then
    return
  end
  local cmd = server.find()
  if not cmd then
    return tell_missing()
  end
  if not M.get() then
    status.set({ state = 'starting' })
  end
  leave_other_nameless(buf)
  vim.lsp.start(client_config(cmd, buf), {
    bufnr = buf,
    reuse_client = function(client)
      return client.name == NAME and not rpc.is_stopped(client)
    end,
  })
end

--- Give all buffers that are wanted to the server.
function M.attach_all()
  for _, buf in ipairs(api.nvim_list_bufs()) do
    if api.nvim_buf_get_name(buf) ~= '' or buf == api.nvim_get_current_buf() then
      M.attach(buf)
    end
  end
end

---@param on? boolean
function M.enable(on)
  if on == nil then
    on = not status.enabled
  end
  status.set_enabled(on)
  M.display().enable(on)
end

--- Stop the server and start it again.
function M.restart()
  local client = M.get()
  restarted_at, told_missing = nil, false
  if not client then
    return M.attach_all()
  end
  stopping = true
  rpc.stop(client)
  local tries = 0
  local timer = assert(vim.uv.new_timer())
  timer:start(50, 50, vim.schedule_wrap(function()
    tries = tries + 1
    if timer:is_closing() or (stopping and tries < 100) then
      return
    end
    timer:close()
    M.attach_all()
  end))
end

--- Where the cursor is without an edit: the server works ahead there.
---@param buf integer
local function tell_cursor(buf)
  local client = client_for_display(buf)
  if client then
    local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
    rpc.notify(client, 'santa/cursor', params)
  end
end

function M.start()
  M.display().start(client_for_display, config.options.streaming)
  local group = api.nvim_create_augroup('santa.client', { clear = true })
  api.nvim_create_autocmd({ 'FileType', 'BufEnter' }, {
    group = group,
    callback = function(event)
      M.attach(event.buf)
    end,
  })
  api.nvim_create_autocmd({ 'BufEnter', 'CursorHold', 'InsertEnter', 'LspAttach' }, {
    group = group,
    callback = function(event)
      if event.buf == api.nvim_get_current_buf() then
        tell_cursor(event.buf)
      end
    end,
  })
  M.attach_all()
end

return M
