--- Puts accepted text into the buffer.
local text_of = require('santa.text')

local M = {}
local api = vim.api

--- Setting 'undolevels' to what it is ends the undo step, like CTRL-G u.
local function break_undo()
  vim.bo.undolevels = vim.bo.undolevels
end

--- Replace a piece of a line of the current buffer by a text and put the cursor behind it; undone
--- in one step.
---@param row integer from 0
---@param col integer bytes
---@param end_col integer
---@param text string
function M.put(row, col, end_col, text)
  break_undo()
  api.nvim_buf_set_text(0, row, col, row, end_col, vim.split(text, '\n', { plain = true }))
  local end_row, end_column = text_of.end_of(row, col, text)
  api.nvim_win_set_cursor(0, { end_row + 1, end_column })
  break_undo()
end

return M
