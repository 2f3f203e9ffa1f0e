--- What is known about the server: for status lines and `:Santa status`.
local M = {}

---@class santa.Status
---@field state 'starting'|'loading'|'ready'|'failed'|'stopped'|'missing'|'installing'
---@field model? string
---@field device? string
---@field latencyMs? number
---@field accepted? integer
---@field languages? string[] those that are completed; '*' is all
---@field failure? string

---@type santa.Status
M.current = { state = 'stopped' }
M.enabled = true

local function announce()
  vim.api.nvim_exec_autocmds('User', { pattern = 'SantaStatus' })
  vim.cmd.redrawstatus({ bang = true })
end

---@param status santa.Status
function M.set(status)
  M.current = status
  announce()
end

---@param on boolean
function M.set_enabled(on)
  M.enabled = on
  announce()
end

---@return string
function M.short()
  if not M.enabled then
    return 'santa: off'
  end
  return M.current.state == 'ready' and 'santa' or 'santa: ' .. M.current.state
end

---@return string[] lines
function M.long()
  local now = M.current
  local lines = { 'Suggestions are ' .. (M.enabled and 'on' or 'off') .. '; server: ' .. now.state }
  local function add(label, value)
    if value and value ~= '' then
      lines[#lines + 1] = ('%s: %s'):format(label, value)
    end
  end
  add('model', now.model)
  add('device', now.device)
  if now.latencyMs and now.latencyMs > 0 then
    add('last completion', now.latencyMs .. ' ms')
  end
  add('accepted', now.accepted)
  add('languages', now.languages and table.concat(now.languages, ', '))
  add('problem', now.failure)
  return lines
end

return M
