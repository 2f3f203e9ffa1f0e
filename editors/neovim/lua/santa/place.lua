--- Where the cursor is, and in which state of the text.
local M = {}
local api = vim.api

---@class santa.Place
---@field buf integer
---@field row integer from 0
---@field col integer bytes, from 0
---@field tick integer the buffer's b:changedtick

---@return santa.Place
function M.here()
  local buf = api.nvim_get_current_buf()
  local cursor = api.nvim_win_get_cursor(0)
  local tick = api.nvim_buf_get_changedtick(buf)
  return { buf = buf, row = cursor[1] - 1, col = cursor[2], tick = tick }
end

--- Whether two places, or things shown there, are at the same point of the same text.
---@param a santa.Place?
---@param b santa.Place?
---@return boolean
function M.same(a, b)
  return a ~= nil
    and b ~= nil
    and a.buf == b.buf
    and a.tick == b.tick
    and a.row == b.row
    and a.col == b.col
end

--- The byte column of a position of the protocol; the line's end when it lies behind that.
---@param line string
---@param character integer
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return integer
function M.byte_column(line, character, encoding)
  if encoding == 'utf-8' then
    return math.min(character, #line)
  elseif vim.fn.has('nvim-0.11') == 1 then
    return vim.str_byteindex(line, encoding, character, false)
  end
  local inside, column = pcall(vim.str_byteindex, line, character, encoding == 'utf-16')
  return inside and column or #line
end

return M
