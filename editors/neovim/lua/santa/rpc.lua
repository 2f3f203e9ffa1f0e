--- The connection to the server, and the difference between Neovim versions in using it.
local M = {}

local METHOD = 'textDocument/inlineCompletion'
local methods_take_self = vim.fn.has('nvim-0.11') == 1

--- Neovim inserts line feeds whatever the file's line ends are.
---@param result table
---@return table
local function with_line_feeds(result)
  for _, item in ipairs(result.items or result) do
    if type(item.insertText) == 'string' then
      item.insertText = item.insertText:gsub('\r\n', '\n')
    end
  end
  return result
end

--- A connection as vim.lsp.start() wants one, with inline completion's replies made fit for Neovim:
--- line feeds only; and where there is nothing to show, an empty list, which takes an outdated
--- suggestion off the screen, unless a newer request is on its way.
---@param cmd string[]
---@param dispatchers vim.lsp.rpc.Dispatchers
---@param may_ask fun(): boolean false: inline completion is switched off, nothing is sent
---@param on_reply fun() called before a reply is shown
---@return vim.lsp.rpc.PublicClient
function M.connect(cmd, dispatchers, may_ask, on_reply)
  local connection = vim.lsp.rpc.start(cmd, dispatchers)
  local send, newest = connection.request, 0
  connection.request = function(method, params, callback, ...)
    if method ~= METHOD then
      return send(method, params, callback, ...)
    elseif not may_ask() then
      return false
    end
    newest = newest + 1
    local this = newest
    return send(method, params, function(err, result, ...)
      if type(result) == 'table' then
        result = with_line_feeds(result)
      elseif not err and this == newest then
        result = { items = {} }
      end
      on_reply()
      callback(err, result, ...)
    end, ...)
  end
  return connection
end

---@param client vim.lsp.Client
---@param method string
---@param params table
---@param callback fun(err?: lsp.ResponseError, result: any)
---@param buf? integer
---@return integer? id nil when it could not be sent
function M.request(client, method, params, callback, buf)
  local sent, id
  if methods_take_self then
    sent, id = client:request(method, params, callback, buf)
  else
    sent, id = client.request(method, params, callback, buf)
  end
  return sent and id or nil
end

---@param client vim.lsp.Client
---@param method string
---@param params table
function M.notify(client, method, params)
  if methods_take_self then
    client:notify(method, params)
  else
    client.notify(method, params)
  end
end

--- Run one of the server's commands.
---@param client vim.lsp.Client
---@param command string
---@param arguments? any[]
---@param callback? fun(result: any)
function M.execute(client, command, arguments, callback)
  M.request(
    client,
    'workspace/executeCommand',
    { command = command, arguments = arguments },
    function(err, result)
      if err then
        vim.notify('santa-lsp: ' .. err.message, vim.log.levels.ERROR)
      elseif callback then
        callback(result)
      end
    end
  )
end

---@param client vim.lsp.Client
---@param id integer
function M.cancel(client, id)
  if M.is_stopped(client) then
    return
  elseif methods_take_self then
    client:cancel_request(id)
  else
    client.cancel_request(id)
  end
end

---@param client vim.lsp.Client
function M.stop(client)
  if methods_take_self then
    client:stop()
  else
    client.stop()
  end
end

---@param client vim.lsp.Client
---@return boolean
function M.is_stopped(client)
  if methods_take_self then
    return client:is_stopped()
  end
  return client.is_stopped()
end

return M
