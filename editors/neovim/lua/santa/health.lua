--- `:checkhealth santa`
local M = {}

local function check_neovim(health)
  health.start('Neovim')
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.10') == 0 then
    return health.error(version .. ' is too old', 'Neovim 0.10 or newer is needed')
  end
  local client, config = require('santa.client'), require('santa.config')
  local ours = config.options.streaming or not client.has_native()
  health.ok(version)
  health.info(
    ours and "suggestions are shown by this plugin's own display"
      or "suggestions are shown by Neovim's vim.lsp.inline_completion"
  )
  local filetypes = config.options.filetypes
  if filetypes == 'auto' then
    filetypes = require('santa.status').current.languages or { 'auto' }
  end
  health.info('filetypes: ' .. table.concat(filetypes, ', '))
end

local function check_server(health)
  health.start('Server')
  local server = require('santa.server')
  local cmd = server.find()
  if not cmd then
    health.error('santa-lsp was not found', server.how_to_install)
    local install = require('santa.install')
    if install.python() then
      health.info(':Santa install would install ' .. install.default_source())
    else
      health.warn('Python was not found; Python 3.11 or newer is needed')
    end
    return
  end
  health.ok('command: ' .. table.concat(cmd, ' '))
  local version = server.ask('--version')
  if version then
    health.ok(vim.trim(version))
  else
    health.error('`' .. cmd[1] .. ' --version` fails', server.how_to_install)
  end
  local client = require('santa.client').get()
  if client then
    local buffers = vim.tbl_count(client.attached_buffers)
    health.ok(('running, with %d buffer%s'):format(buffers, buffers == 1 and '' or 's'))
  else
    health.info('not running: it starts with the first file of a wanted filetype')
  end
  for _, line in ipairs(require('santa.status').long()) do
    health.info(line)
  end
  if require('santa.status').current.state == 'failed' then
    health.error('the model was not loaded', 'santa-lsp doctor, in a terminal, says more')
  end
end

local function check_keys(health)
  health.start('Keys')
  local taken = require('santa.keys').taken
  for action, key in pairs(require('santa.config').options.keys) do
    if key and taken[action] then
      local plug = ('<Plug>(santa-%s)'):format(action:gsub('_', '-'))
      health.warn(
        ('%s is mapped already: %s has no key'):format(key, action:gsub('_', ' ')),
        ("map another key to it: vim.keymap.set('i', '…', '%s')"):format(plug)
      )
    elseif key then
      health.ok(('%s: %s'):format(key, action:gsub('_', ' ')))
    end
  end
end

function M.check()
  check_neovim(vim.health)
  check_server(vim.health)
  check_keys(vim.health)
end

return M
