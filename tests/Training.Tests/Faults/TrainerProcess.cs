using System.Diagnostics;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Tests.Faults;

/// <summary>A trainer as a process of its own, its events as they come, and ways to hurt it.</summary>
internal sealed class TrainerProcess : IDisposable
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "TokenMill.Training.dll");

    private readonly Process _process;
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly List<(TimeSpan After, TrainerEvent Event)> _events = [];
    private readonly Lock _lock = new();
    private readonly Task _reading;
    private readonly Task<string> _errors;

    public TrainerProcess(string specPath, params string[] options) : this(specPath, options, new Dictionary<string, string>())
    {
    }

    public TrainerProcess(string specPath, string[] options, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo("dotnet", [Program, "train", specPath, .. options]) { RedirectStandardOutput = true, RedirectStandardInput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        _process = Process.Start(start)!;
        _errors = _process.StandardError.ReadToEndAsync();
        _reading = ReadAsync();
    }

    public TimeSpan Age => Stopwatch.GetElapsedTime(_started);
    public bool HasExited => _process.HasExited;
    public int ExitCode => _process.ExitCode;

    /// <summary>Events so far, each with the age of the process when it came.</summary>
    public IReadOnlyList<(TimeSpan After, TrainerEvent Event)> Events
    {
        get { lock (_lock) return [.. _events]; }
    }

    public TrainerEvent? Last
    {
        get { lock (_lock) return _events.Count == 0 ? null : _events[^1].Event; }
    }

    /// <summary>Waits until it holds, the process has ended, or a minute is over; true if it holds.</summary>
    public bool WaitFor(Func<bool> condition)
    {
        SpinWait.SpinUntil(() => condition() || _process.HasExited, TimeSpan.FromMinutes(1));
        return condition();
    }

    public void Kill() => _process.Kill();                      // SIGKILL

    public void Terminate()
    {
        using var kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Until it has ended and everything it said has been read; gives what it said on stderr.</summary>
    public async Task<string> EndAsync()
    {
        await _reading.WaitAsync(TimeSpan.FromMinutes(2));
        await _process.WaitForExitAsync();
        return await _errors;
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            try
            {
                var read = Shared.Json.Deserialize<TrainerEvent>(line);
                lock (_lock) _events.Add((Age, read));
            }
            catch (System.Text.Json.JsonException)
            {
                // a line cut short by the kill is no event
            }
        }
    }
}
