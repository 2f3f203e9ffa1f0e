--- Our display: asks at every key, cancels what is outdated, shows text while it is generated, and
--- keeps showing it while it is typed through.
local insert = require('santa.insert')
local places = require('santa.place')
local rpc = require('santa.rpc')
local text_of = require('santa.text')
local view = require('santa.view')

local M = {}
local api = vim.api
local AUTOMATIC, INVOKED = 2, 1
local TOKEN = 'santa-'

---@class santa.Suggestion
---@field text string what stands behind the cursor once it is accepted
---@field over integer bytes behind the cursor that it replaces
---@field command? lsp.Command

---@class santa.Shown: santa.Place
---@field items santa.Suggestion[]
---@field index integer
---@field cycled? boolean the user has chosen among them

local shown ---@type santa.Shown?
local asked ---@type { client: vim.lsp.Client, id: integer, token: string, place: santa.Place }?
local last ---@type santa.Place? where the cursor was looked at last
local count = 0
local here, same = places.here, places.same
local client_for ---@type fun(buf: integer): vim.lsp.Client?
local streaming = false

local function draw()
  if not shown then
    return view.clear()
  end
  local item, n = shown.items[shown.index], #shown.items
  local note = shown.cycled and n > 1 and (' (%d/%d)'):format(shown.index, n) or nil
  view.draw(shown.buf, shown.row, shown.col, item.text, item.over, note)
end

local function cancel()
  if asked then
    rpc.cancel(asked.client, asked.id)
    asked = nil
  end
end

local function hide()
  shown = nil
  view.clear()
end

local function stop()
  cancel()
  hide()
  last = nil
end

---@param place santa.Place
---@param items lsp.InlineCompletionItem[]
---@param encoding string
---@return santa.Suggestion[]
local function read_items(place, items, encoding)
  local line = api.nvim_buf_get_lines(place.buf, place.row, place.row + 1, false)[1]
  local found = {}
  for _, item in ipairs(items) do
    local start, stop_at = place.col, place.col
    if item.range then
      start = places.byte_column(line, item.range.start.character, encoding)
      stop_at = places.byte_column(line, item.range['end'].character, encoding)
    end
    local rest = type(item.insertText) == 'string'
      and text_of.rest(item.insertText, line:sub(start + 1, place.col))
    if rest and rest ~= '' then
      local over = math.max(0, stop_at - place.col)
      found[#found + 1] = { text = rest, over = over, command = item.command }
    end
  end
  return found
end

--- Show what came for a place, if the cursor is still there.
---@param place santa.Place
---@param items lsp.InlineCompletionItem[]
---@param encoding string
---@param final boolean
---@param step? integer how far from the first is the one to show
local function receive(place, items, encoding, final, step)
  if not same(place, here()) or vim.fn.mode():sub(1, 1) ~= 'i' then
    return
  end
  local found = read_items(place, items, encoding)
  if #found == 0 then
    if final then
      hide()
    end
    return
  end
  -- A text that grows anew is shorter at first than what the user typed through: keep that.
  local kept = shown and shown.items[shown.index].text
  if not final and kept and vim.startswith(kept, found[1].text) then
    return
  end
  shown = vim.tbl_extend('force', place, { items = found, index = 1 + (step or 0) % #found })
  shown.cycled = step ~= nil
  draw()
end

---@param place santa.Place
---@param kind integer
---@param step? integer the user looks for the next or previous one
local function ask(place, kind, step)
  cancel()
  local client = client_for(place.buf)
  if not client then
    return hide()
  end
  count = count + 1
  local token = TOKEN .. count
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  params.partialResultToken = streaming and token or nil
  local id = rpc.request(client, 'textDocument/inlineCompletion', params, function(err, result)
    if asked and asked.token == token then
      asked = nil
      local items = not err and result and (result.items or result) or {}
      receive(place, items, client.offset_encoding, true, step)
    end
  end, place.buf)
  asked = id and { client = client, id = id, token = token, place = place } or nil
end

--- Move on with a suggestion whose next characters have been typed.
---@param place santa.Place
---@return boolean moved
local function type_through(place)
  if not shown or shown.buf ~= place.buf or shown.row ~= place.row or place.col <= shown.col then
    return false
  end
  local typed = api.nvim_buf_get_text(place.buf, place.row, shown.col, place.row, place.col, {})[1]
  local items, index = {}, 1
  for number, item in ipairs(shown.items) do
    local rest = text_of.rest(item.text, typed)
    if rest and rest ~= '' then
      items[#items + 1] = vim.tbl_extend('force', item, { text = rest })
      index = number == shown.index and #items or index
    elseif number == shown.index then
      return false
    end
  end
  shown = vim.tbl_extend('force', shown, place, { items = items, index = index })
  draw()
  return true
end

--- The text or the cursor has changed in Insert mode.
local function look()
  local place = here()
  if same(place, last) then
    return
  end
  last = place
  if vim.fn.pumvisible() == 1 or vim.fn.reg_executing() ~= '' or vim.fn.mode():sub(1, 1) ~= 'i' then
    return stop()
  end
  local moved = type_through(place)
  if moved and not asked then
    return
  elseif not moved then
    hide()
  end
  ask(place, AUTOMATIC)
end

--- The partial result of a request, sent as `$/progress`.
---@param params { token: any, value: any }
---@return boolean ours
function M.progress(params)
  if type(params.token) ~= 'string' or not vim.startswith(params.token, TOKEN) then
    return false
  end
  if asked and asked.token == params.token then
    receive(asked.place, params.value.items, asked.client.offset_encoding, false)
  end
  return true
end

---@param part 'all'|'word'|'line'
---@return boolean
function M.accept(part)
  local place = here()
  -- Keys that came in quick succession: no event has told of the last ones yet.
  if not same(shown, place) and not type_through(place) then
    return false
  end
  cancel()
  local item = shown.items[shown.index]
  local piece = text_of.first(item.text, part)
  local rest = text_of.rest(item.text, piece)
  local whole = rest == ''
  insert.put(place.row, place.col, place.col + (whole and item.over or 0), piece)
  local client = client_for(place.buf)
  if whole then
    hide()
    if item.command and client then
      rpc.execute(client, item.command.command, item.command.arguments)
    end
  else
    local kept = vim.tbl_extend('force', item, { text = rest })
    last = here()
    shown = vim.tbl_extend('force', last, { items = { kept }, index = 1 })
    draw()
  end
  return true
end

---@param step 1|-1
function M.cycle(step)
  local place = here()
  if not same(shown, place) then
    return ask(place, INVOKED)
  elseif #shown.items < 2 then
    return ask(place, INVOKED, step) -- who asks by hand may get more to choose from
  end
  shown.cycled = true
  shown.index = (shown.index - 1 + step) % #shown.items + 1
  draw()
end

---@return boolean
function M.dismiss()
  local visible = shown ~= nil
  cancel()
  hide()
  return visible
end

---@param on boolean
function M.enable(on)
  if on then
    vim.schedule(look)
  else
    stop()
  end
end

--- A server has come to a buffer, perhaps while the user was typing there.
---@param _ integer buffer
---@param client vim.lsp.Client
function M.attach(_, client)
  if vim.lsp.inline_completion then -- perhaps in use for another server: not for ours too
    vim.lsp.inline_completion.enable(false, { client_id = client.id })
  end
  last = nil
  vim.schedule(look)
end

--- Nothing of ours is on the screen when Neovim's own display is replied to.
function M.before_reply() end

---@param find fun(buf: integer): vim.lsp.Client?
---@param stream boolean
function M.start(find, stream)
  client_for, streaming = find, stream
  local group = api.nvim_create_augroup('santa.display', { clear = true })
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, callback = callback })
  end
  -- At once, before the screen is drawn anew: what was shown never appears at the wrong place.
  on({ 'TextChangedI', 'CursorMovedI' }, look)
  -- The first comes before the mode is Insert, the others while the popup menu is still there.
  on({ 'InsertEnter', 'TextChangedP', 'CompleteDone' }, vim.schedule_wrap(look))
  on({ 'InsertLeave', 'BufLeave' }, stop)
end

return M
