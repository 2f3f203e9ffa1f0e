--- What users and their mappings call. Each function works whichever display is in use.
local M = {}

local function display()
  return require('santa.client').display()
end

--- Start; `options` as |santa-options| says. Call it at most once, the last call wins.
---@param options? table
function M.setup(options)
  require('santa.config').set(options or {})
  require('santa.keys').map()
  require('santa.command').create()
  require('santa.client').start()
end

---@return boolean
function M.is_set_up()
  return require('santa.config').is_set
end

--- Insert the suggestion that is shown.
---@param part? 'all'|'word'|'line' how much of it (default: 'all')
---@param otherwise? fun() called when there is nothing to insert
function M.accept(part, otherwise)
  otherwise = otherwise or function() end
  if not display().accept(part or 'all', otherwise) then
    otherwise()
  end
end

--- Show the next suggestion; when none is shown, ask for one now (Neovim's own display: only the
--- first of these).
function M.next()
  display().cycle(1)
end

--- Show the suggestion before.
function M.previous()
  display().cycle(-1)
end

--- Take the suggestion off the screen. `otherwise` is called when there is none.
---@param otherwise? fun()
function M.dismiss(otherwise)
  if not display().dismiss() and otherwise then
    otherwise()
  end
end

--- Switch suggestions on or off, in all buffers.
---@param on? boolean (default: the other way round)
function M.toggle(on)
  require('santa.client').enable(on)
end

--- For a status line: "santa", with what is to be known when it is not simply ready.
---@return string
function M.status()
  return require('santa.status').short()
end

return M
