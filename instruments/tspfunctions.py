"""The functions of `hilep.instruments.keithley2600`, in TSP, that read, pulse and answer."""

from __future__ import annotations

# One line each, so that every one is a whole chunk and no script has to be loaded.
FUNCTIONS = (
    "function hilep_clear(buffer) "
    "buffer.clear() buffer.appendmode = 1 buffer.collecttimestamps = 1 end",
    "function hilep_end(out, smus) for k, smu in ipairs(smus) do "
    "local level = smu.source.levelv "
    "if smu.source.func == 0 then level = smu.source.leveli end "
    'table.insert(out, string.format("%.9e,%d", level, smu.source.output)) end '
    'local code, message = 0, "Queue Is Empty" '
    "if errorqueue.count > 0 then code, message = errorqueue.next() end "
    'print(table.concat(out, ",") .. ";" .. string.format("%d", code) .. "," .. message) end',
    "function hilep_rows(out, smu, from) local amps, volts = smu.nvbuffer1, smu.nvbuffer2 "
    'table.insert(out, string.format("%d", amps.n - from)) '
    "for j = from + 1, amps.n do table.insert(out, string.format("
    '"%.9e,%.9e,%.9e,%d,%d", volts.readings[j], amps.readings[j], amps.timestamps[j], '
    "volts.statuses[j], amps.statuses[j])) end end",
    "function hilep_acquire(token, first, samples, smus) local from = {} "
    "for k, smu in ipairs(smus) do "
    "if first then hilep_clear(smu.nvbuffer1) hilep_clear(smu.nvbuffer2) end "
    "from[k] = smu.nvbuffer1.n smu.measure.count = samples end "
    "for k, smu in ipairs(smus) do smu.measure.overlappediv(smu.nvbuffer1, smu.nvbuffer2) end "
    'waitcomplete() local out = {string.format("%d", token)} '
    "for k, smu in ipairs(smus) do hilep_rows(out, smu, from[k]) end hilep_end(out, smus) end",
    "function hilep_pulse(token, smu, volts, seconds, limit) local kept = smu.source.limiti "
    "smu.source.limiti = limit smu.source.levelv = volts delay(seconds) "
    "local met = smu.source.compliance smu.source.levelv = 0 smu.source.limiti = kept "
    "local flag = 0 if met then flag = 1 end "
    'hilep_end({string.format("%d", token), string.format("%d", flag)}, {smu}) end',
)
NAMES = tuple(line.split()[1].partition("(")[0] for line in FUNCTIONS)
"""What they are called."""
