--- Draws one suggestion as virtual text.
local text_of = require('santa.text')

local M = {}
local api = vim.api
local namespace = api.nvim_create_namespace('santa')
local MARK = 1 -- the same mark is moved and rewritten: nothing flickers
local drawn_in ---@type integer?

api.nvim_set_hl(0, 'SantaSuggestion', {
  default = true,
  link = vim.fn.hlexists('ComplHint') == 1 and 'ComplHint' or 'Comment',
})

--- Show a text at a place of the current window's buffer, in the place of what was shown before.
---@param buf integer
---@param row integer from 0
---@param col integer bytes
---@param text string
---@param over? integer bytes behind the place that the text replaces
---@param note? string shown behind it
function M.draw(buf, row, col, text, over, note)
  if drawn_in and drawn_in ~= buf then
    M.clear()
  end
  local tabstop = vim.bo[buf].tabstop
  local before = api.nvim_buf_get_text(buf, row, 0, row, col, {})[1]
  local column = vim.fn.strdisplaywidth(before)
  local lines = {} ---@type [string, string][][]
  for _, line in ipairs(vim.split(text, '\n', { plain = true })) do
    lines[#lines + 1] = { { text_of.expand_tabs(line, column, tabstop), 'SantaSuggestion' } }
    column = 0
  end
  if note then
    table.insert(lines[#lines], { note, 'SantaSuggestion' })
  end
  api.nvim_buf_set_extmark(buf, namespace, row, col, {
    id = MARK,
    virt_text = table.remove(lines, 1),
    virt_text_pos = over and over > 0 and 'overlay' or 'inline',
    virt_lines = lines,
    hl_mode = 'combine',
  })
  drawn_in = buf
end

--- Show nothing.
function M.clear()
  if drawn_in and api.nvim_buf_is_valid(drawn_in) then
    api.nvim_buf_del_extmark(drawn_in, namespace, MARK)
  end
  drawn_in = nil
end

return M
