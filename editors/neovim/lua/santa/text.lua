--- Pure functions on the text of suggestions. Columns and lengths are bytes.
local M = {}

--- The first part of a suggestion, as "accept word" and "accept line" take it.
---@param text string
---@param part 'all'|'word'|'line'
---@return string
function M.first(text, part)
  if part == 'word' then
    -- White space, then either a run of word characters or a run of others.
    local space = text:match('^%s*')
    local rest = text:sub(#space + 1)
    local word = rest:match('^[%w_\128-\255]+') or rest:match('^[^%w_%s\128-\255]+') or ''
    return space .. word
  elseif part == 'line' then
    -- Line ends that begin the text belong to the line after them.
    return text:match('^\n*[^\n]*')
  end
  return text
end

--- What is left of a suggestion after some of it was typed; nil when something else was typed.
---@param text string
---@param typed string
---@return string?
function M.rest(text, typed)
  if vim.startswith(text, typed) then
    return text:sub(#typed + 1)
  end
end

--- Where the end of a text comes to stand that is inserted at a place.
---@param row integer from 0
---@param col integer
---@param text string
---@return integer row, integer col
function M.end_of(row, col, text)
  local lines = vim.split(text, '\n', { plain = true })
  return row + #lines - 1, (#lines == 1 and col or 0) + #lines[#lines]
end

--- Tabs as the spaces they take on the screen, which virtual text does not do by itself.
---@param line string
---@param column integer screen column where the line begins
---@param tabstop integer
---@return string
function M.expand_tabs(line, column, tabstop)
  if not line:find('\t', 1, true) then
    return line
  end
  local pieces = vim.split(line, '\t', { plain = true })
  for index = 1, #pieces - 1 do
    column = column + vim.fn.strdisplaywidth(pieces[index])
    local width = tabstop - column % tabstop
    pieces[index] = pieces[index] .. (' '):rep(width)
    column = column + width
  end
  return table.concat(pieces)
end

return M
