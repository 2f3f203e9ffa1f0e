--- Where the server is, and how to get it.
local config = require('santa.config')

local M = {}

M.how_to_install = 'run :Santa install, or put santa-lsp on your PATH (pipx install santa-lsp), '
  .. "or set the option cmd to { '/path/to/santa-lsp', '--stdio' }"

--- The virtual environment that `:Santa install` makes.
M.environment = vim.fs.joinpath(vim.fn.stdpath('data'), 'santa-lsp')

---@param name string
---@return string
function M.in_environment(name)
  local folder = vim.fn.has('win32') == 1 and 'Scripts' or 'bin'
  return vim.fs.joinpath(M.environment, folder, name)
end

--- The server's command, or nil: from the option cmd, PATH, or what `:Santa install` has installed.
---@return string[]? cmd
function M.find()
  local given = config.options.cmd
  if given then
    return vim.fn.executable(given[1]) == 1 and given or nil
  end
  for _, name in ipairs({ 'santa-lsp', M.in_environment('santa-lsp') }) do
    local path = vim.fn.exepath(name)
    if path ~= '' then
      return { path, '--stdio' }
    end
  end
end

--- What a sub-command of santa-lsp prints; nil when that fails.
---@param ... string
---@return string?
function M.ask(...)
  local cmd = M.find()
  if not cmd then
    return nil
  end
  local call = vim.tbl_filter(function(word)
    return word ~= '--stdio'
  end, cmd)
  local ran, done = pcall(function(...)
    return vim.system(vim.list_extend(call, { ... }), { text = true }):wait(20000)
  end, ...)
  return ran and done.code == 0 and done.stdout or nil
end

--- The names of the models on this machine.
---@return string[]
function M.models()
  local names = {}
  local listing = vim.split(M.ask('models', 'list') or '', '\n')
  for index = 2, #listing do -- the first line is the table's head, a blank line ends it
    local name = listing[index]:match('^%S+')
    if not name then
      break
    end
    names[#names + 1] = name
  end
  return names
end

return M
