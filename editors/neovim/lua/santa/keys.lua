--- Keys for suggestions, only where the user has not mapped them; and <Plug> mappings for all.
local config = require('santa.config')

local M = {}

---@param part 'all'|'word'|'line'
local function accept(part)
  return function(otherwise)
    require('santa').accept(part, otherwise)
  end
end

---@type table<string, fun(otherwise: fun())>
local actions = {
  accept = accept('all'),
  accept_word = accept('word'),
  accept_line = accept('line'),
  next = function()
    require('santa').next()
  end,
  previous = function()
    require('santa').previous()
  end,
  dismiss = function(otherwise)
    require('santa').dismiss(otherwise)
  end,
}

--- Keys that are in use, and so were not mapped: action -> key.
---@type table<string, string>
M.taken = {}

--- Neovim's own mapping of <Tab>, which jumps in snippets, is not the user's: it goes on below ours.
---@param mapping table as maparg() returns it
local function is_default(mapping)
  return type(mapping.desc) == 'string' and vim.startswith(mapping.desc, 'vim.snippet.jump')
end

--- Type what a key means without us.
---@param key string
---@param default? fun(): string
local function type_key(key, default)
  local keys = default and default() or key
  vim.api.nvim_feedkeys(vim.keycode(keys), 'ni', false)
end

function M.map()
  M.taken = {}
  for action, run in pairs(actions) do
    local plug = ('<Plug>(santa-%s)'):format(action:gsub('_', '-'))
    vim.keymap.set('i', plug, function()
      run(function() end)
    end, { desc = 'santa-lsp: ' .. action:gsub('_', ' ') })
    local key = config.options.keys[action]
    if key then
      local mapping = vim.fn.maparg(key, 'i', false, true)
      local ours = mapping.desc == 'santa-lsp: ' .. action:gsub('_', ' ')
      if vim.tbl_isempty(mapping) or is_default(mapping) then
        vim.keymap.set('i', key, function()
          run(function()
            type_key(key, mapping.callback)
          end)
        end, { desc = 'santa-lsp: ' .. action:gsub('_', ' ') })
      elseif not ours then
        M.taken[action] = key
      end
    end
  end
end

return M
