namespace TokenMill.Serving.Scheduler;

/// <summary>A step has one adapter; adapters with work take turns.</summary>
internal sealed class AdapterTurns
{
    private readonly Dictionary<string, long> _lastSteps = [];
    private long _steps;

    /// <summary>Begins a step under the adapter, among those of requests that do not pause, whose last step is longest ago.</summary>
    public string? Next(RunningSet running)
    {
        var next = running[0].Key.Adapter;                     // the first never pauses
        foreach (var request in running.Requests)
            if (!running.IsPaused(request) && LastStep(request.Key.Adapter) < LastStep(next)) next = request.Key.Adapter;
        _lastSteps[next ?? ""] = ++_steps;
        return next;
    }

    public void Forget(string adapter) => _lastSteps.Remove(adapter);

    private long LastStep(string? adapter) => _lastSteps.GetValueOrDefault(adapter ?? "");
}
