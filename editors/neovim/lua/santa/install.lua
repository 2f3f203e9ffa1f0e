--- `:Santa install`: the server in a virtual environment of its own.
local server = require('santa.server')
local status = require('santa.status')

local M = {}

--- The checkout that this plugin is a part of, else the package's name.
---@return string
function M.default_source()
  local here = debug.getinfo(1, 'S').source:sub(2)
  local checkout = vim.fs.dirname(here):gsub('[/\\]editors[/\\]neovim[/\\]lua[/\\]santa$', '')
  local is_checkout = vim.uv.fs_stat(vim.fs.joinpath(checkout, 'pyproject.toml')) ~= nil
  return is_checkout and checkout or 'santa-lsp'
end

---@return string?
function M.python()
  for _, name in ipairs({ 'python3', 'python' }) do
    if vim.fn.executable(name) == 1 then
      return name
    end
  end
end

--- Show every second how long it has been running; the function returned ends that.
---@param what string
---@return fun()
local function show_progress(what)
  local seconds = 0
  local timer = assert(vim.uv.new_timer())
  timer:start(0, 1000, vim.schedule_wrap(function()
    if not timer:is_closing() then
      vim.api.nvim_echo({ { ('santa-lsp: %s … %d s'):format(what, seconds) } }, false, {})
      seconds = seconds + 1
    end
  end))
  return function()
    timer:close()
  end
end

---@param steps { what: string, cmd: string[] }[]
---@param index integer
---@param done fun()
local function run(steps, index, done)
  local step = steps[index]
  if not step then
    return done()
  end
  local stop_progress = show_progress(step.what)
  vim.system(step.cmd, { text = true }, vim.schedule_wrap(function(result)
    stop_progress()
    if result.code == 0 then
      return run(steps, index + 1, done)
    end
    status.set({ state = 'missing' })
    local said = vim.trim((result.stderr or '') .. '\n' .. (result.stdout or ''))
    local last = said:match('[^\n]*$')
    vim.notify(
      ('santa-lsp: %s failed: %s\nThe command was: %s'):format(
        step.what,
        last ~= '' and last or 'exit code ' .. result.code,
        table.concat(step.cmd, ' ')
      ),
      vim.log.levels.ERROR
    )
  end))
end

--- Install, then call `done`.
---@param source string? what pip is to install: a name, a wheel or a folder
---@param done fun()
function M.install(source, done)
  local python = M.python()
  if not python then
    return vim.notify('santa-lsp: Python 3.11 or newer is needed', vim.log.levels.ERROR)
  end
  source = source and vim.fs.normalize(source) or M.default_source()
  status.set({ state = 'installing' })
  run({
    { what = 'making a virtual environment', cmd = { python, '-m', 'venv', server.environment } },
    {
      what = 'installing the server',
      cmd = { server.in_environment('python'), '-m', 'pip', 'install', '-q', '-U', source },
    },
  }, 1, function()
    vim.notify('santa-lsp: the server is installed in ' .. server.environment)
    done()
  end)
end

return M
