--- Neovim 0.12's own display, vim.lsp.inline_completion, with what it lacks: parts of a suggestion
--- can be accepted, and a key typed between a reply and its acceptance is not doubled.
local insert = require('santa.insert')
local places = require('santa.place')
local rpc = require('santa.rpc')
local text_of = require('santa.text')
local view = require('santa.view')

local M = {}
local api = vim.api

---@class santa.Rest: santa.Place
---@field text string
---@field command? lsp.Command

--- What is left after a part was accepted, until Neovim has asked again.
local rest ---@type santa.Rest?
local client_for ---@type fun(buf: integer): vim.lsp.Client?

local function forget_rest()
  rest = nil
  view.clear()
end

---@return boolean
local function rest_is_here()
  return places.same(rest, places.here())
end

--- Insert a part of a text at the cursor. What is left is shown until Neovim asks again; when nothing
--- is, the item's command is run.
---@param client vim.lsp.Client
---@param text string
---@param part 'all'|'word'|'line'
---@param end_col integer
---@param command? lsp.Command
local function put(client, text, part, end_col, command)
  local now = places.here()
  local piece = text_of.first(text, part)
  local left = text:sub(#piece + 1)
  insert.put(now.row, now.col, left == '' and end_col or now.col, piece)
  forget_rest()
  if left ~= '' then
    rest = vim.tbl_extend('force', places.here(), { text = left, command = command })
    view.draw(rest.buf, rest.row, rest.col, left)
  elseif command then
    rpc.execute(client, command.command, command.arguments)
  end
end

--- The text of one of our items that stands behind the cursor, and where what it replaces ends; nil
--- when the cursor has left its line or something else was typed. Neovim 0.12.4 inserts the whole
--- item even where its first characters have been typed since the reply (neovim issue 36529).
---@param item vim.lsp.inline_completion.Item
---@return string? text
---@return integer end_col
local function behind_cursor(item)
  local now = places.here()
  if not item.range then
    return item.insert_text, now.col
  end
  -- Our items start where the cursor was; what was typed since has moved the end.
  local row, col, end_row, end_col = item.range:to_extmark()
  if row ~= now.row or end_row ~= now.row or col > now.col then
    return nil, 0
  end
  local typed = api.nvim_buf_get_text(now.buf, row, col, row, now.col, {})[1]
  local line_end = #api.nvim_get_current_line()
  return text_of.rest(item.insert_text, typed), math.min(now.col + end_col - col, line_end)
end

---@param part 'all'|'word'|'line'
---@param otherwise fun()
---@return boolean
function M.accept(part, otherwise)
  local client = client_for(places.here().buf)
  if client and rest_is_here() then
    put(client, rest.text, part, rest.col, rest.command)
    return true
  end
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      if not client or item.client_id ~= client.id then
        return item -- of another server: Neovim accepts it
      end
      local text, end_col = behind_cursor(item)
      if not text or text == '' then
        return otherwise()
      end
      put(client, text, part, end_col, item.command)
    end,
  })
end

---@param step 1|-1
function M.cycle(step)
  vim.lsp.inline_completion.select({ count = step })
end

---@return boolean
function M.dismiss()
  local visible = rest ~= nil
  forget_rest()
  return vim.lsp.inline_completion.get({ on_accept = function() end }) or visible
end

--- While switched off, santa.rpc sends nothing.
---@param on boolean
function M.enable(on)
  if not on then
    M.dismiss()
  end
end

---@param buf integer
function M.attach(buf)
  vim.lsp.inline_completion.enable(true, { bufnr = buf })
end

--- Neovim is about to show a reply, which says the same as the rest that we show.
M.before_reply = forget_rest

--- Neovim asks for no partial results.
function M.progress()
  return false
end

---@param find fun(buf: integer): vim.lsp.Client?
function M.start(find)
  client_for = find
  local group = api.nvim_create_augroup('santa.display', { clear = true })
  api.nvim_create_autocmd(
    { 'TextChangedI', 'CursorMovedI', 'TextChangedP', 'InsertLeave', 'BufLeave' },
    {
      group = group,
      callback = function(event)
        if event.event == 'InsertLeave' or event.event == 'BufLeave' or not rest_is_here() then
          forget_rest()
        end
      end,
    }
  )
end

return M
