--- The :Santa command.
local M = {}

---@param lines string[]
local function tell(lines)
  vim.notify('santa-lsp: ' .. table.concat(lines, '\n'))
end

---@param command string
---@param arguments? any[]
---@param callback? fun(result: any)
local function execute(command, arguments, callback)
  local client = require('santa.client').get()
  if not client then
    return tell({ 'the server is not running; :checkhealth santa says why' })
  end
  require('santa.rpc').execute(client, command, arguments, callback)
end

---@param name string
local function select_model(name)
  execute('santa.selectModel', { name }, function()
    local now = require('santa.status').current
    if (now.failure or '') == '' then -- else the server has told it
      tell({ 'the model is ' .. (now.model or name) })
    end
  end)
end

---@type table<string, { run: fun(argument?: string), complete?: fun(): string[] }>
local actions = {
  status = {
    run = function()
      tell(require('santa.status').long())
    end,
  },
  toggle = {
    run = function()
      require('santa').toggle()
      tell(require('santa.status').long())
    end,
  },
  enable = {
    run = function()
      require('santa').toggle(true)
    end,
  },
  disable = {
    run = function()
      require('santa').toggle(false)
    end,
  },
  model = {
    run = function(name)
      if name then
        return select_model(name)
      end
      vim.ui.select(require('santa.server').models(), { prompt = 'Model' }, function(choice)
        if choice then
          select_model(choice)
        end
      end)
    end,
    complete = function()
      return require('santa.server').models()
    end,
  },
  why = {
    run = function()
      execute('santa.why', nil, function(reason)
        tell({ 'the last request: ' .. reason })
      end)
    end,
  },
  log = {
    run = function()
      -- The server writes its log to stderr, which Neovim keeps with the other servers'.
      vim.cmd.tabedit(vim.fn.fnameescape(require('vim.lsp.log').get_filename()))
      vim.cmd.normal({ 'G', bang = true })
    end,
  },
  restart = {
    run = function()
      require('santa.client').restart()
    end,
  },
  install = {
    run = function(source)
      require('santa.install').install(source, require('santa.client').restart)
    end,
    complete = function()
      return {}
    end,
  },
}

---@param lead string what is typed of the word
---@param line string
---@return string[]
local function complete(lead, line)
  local words = vim.split(line:gsub('^%s*%S+%s*', ''), '%s+')
  local choices = vim.tbl_keys(actions)
  if #words > 1 then
    local action = actions[words[1]]
    choices = action and action.complete and action.complete() or {}
  end
  table.sort(choices)
  return vim.tbl_filter(function(choice)
    return vim.startswith(choice, lead)
  end, choices)
end

function M.create()
  vim.api.nvim_create_user_command('Santa', function(call)
    local name, argument = call.fargs[1] or 'status', call.fargs[2]
    local action = actions[name]
    if not action then
      local names = vim.tbl_keys(actions)
      table.sort(names)
      return vim.notify(
        ('santa-lsp: no action %q; there are %s'):format(name, table.concat(names, ', ')),
        vim.log.levels.ERROR
      )
    end
    action.run(argument)
  end, { nargs = '*', complete = complete, desc = 'santa-lsp: see :help :Santa' })
end

return M
