--- The user's options with their defaults.
local M = { is_set = false }

---@class santa.Keys
---@field accept string|false
---@field accept_word string|false
---@field accept_line string|false
---@field next string|false
---@field previous string|false
---@field dismiss string|false

---@class santa.Options
---@field cmd? string[] the server's command; without it, the server is looked for
---@field filetypes 'auto'|string[] where suggestions are wanted: 'auto' follows the served model's
--- languages, { '*' } is everywhere
---@field settings table the server's settings, as in its README
---@field streaming boolean suggestions grow on the screen, in our own display
---@field keys santa.Keys|false

---@type santa.Options
local defaults = {
  filetypes = 'auto',
  settings = vim.empty_dict(),
  -- Neovim 0.12 shows inline completions itself; before, our display is the only one.
  streaming = vim.fn.has('nvim-0.12') == 0,
  keys = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-C-Right>',
    next = '<M-]>',
    previous = '<M-[>',
    dismiss = '<C-]>',
  },
}

local types = {
  cmd = 'table',
  filetypes = 'table',
  settings = 'table',
  streaming = 'boolean',
  keys = 'table',
}

---@type santa.Options
M.options = defaults

---@param problem string
local function complain(problem)
  vim.notify('santa-lsp: ' .. problem .. '; see :help santa-options', vim.log.levels.WARN)
end

--- Take over options; an unknown or bad one is named, and its default is used.
---@param given table
function M.set(given)
  local options = vim.deepcopy(defaults)
  for name, value in pairs(given) do
    if not types[name] then
      complain(('unknown option %q is ignored'):format(name))
    elseif name == 'keys' and value == false then
      options.keys = {}
    elseif type(value) ~= types[name] and not (name == 'filetypes' and value == 'auto') then
      complain(('option %q must be a %s'):format(name, types[name]))
    elseif name == 'keys' then
      for action, key in pairs(value) do
        if defaults.keys[action] == nil then
          complain(('unknown key %q is ignored'):format(action))
        else
          options.keys[action] = key
        end
      end
    else
      options[name] = value
    end
  end
  M.options, M.is_set = options, true
end

--- The server's settings, with the file types that the user has chosen.
---@return table
function M.server_settings()
  local settings = M.options.settings
  if M.options.filetypes == 'auto' or settings.languages then
    return settings
  end
  return vim.tbl_extend('force', settings, { languages = M.options.filetypes })
end

---@param filetype string
---@return boolean
function M.wants(filetype)
  local wanted = M.options.filetypes
  if wanted == 'auto' then
    return filetype ~= '' -- the server answers for the languages that its model knows
  end
  return vim.list_contains(wanted, '*') or vim.list_contains(wanted, filetype)
end

return M
