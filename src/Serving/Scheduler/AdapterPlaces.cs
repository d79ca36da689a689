using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Scheduler;

/// <summary>
/// Which adapters the runner has loaded. They are loaded when a request needs them, and the least recently used one that no running
/// request needs makes way. So there may be any number of adapters, as long as no more of them run at once than there are places.
/// </summary>
internal sealed class AdapterPlaces(IModelExecutor executor)
{
    private readonly List<string> _loaded = [];               // least recently used first

    public int LoadedCount => _loaded.Count;

    public long Loads { get; private set; }

    /// <summary>Whether a request under this adapter could run beside these.</summary>
    public bool HasPlaceFor(string? adapter, ReadOnlySpan<EngineRequest> running) =>
        adapter is null || _loaded.Contains(adapter) || _loaded.Count < executor.MaxAdapters || FirstUnused(running) is not null;

    /// <summary>Loads it, where it is not loaded yet; it must have a place.</summary>
    /// <returns>Why it cannot be loaded, or null.</returns>
    public Error? Load(string? adapter, ReadOnlySpan<EngineRequest> running)
    {
        if (adapter is null) return null;
        if (!_loaded.Remove(adapter))
        {
            if (_loaded.Count >= executor.MaxAdapters) Unload(FirstUnused(running)!);
            if (executor.LoadAdapter(adapter) is { } error) return error;
            Loads++;
        }
        _loaded.Add(adapter);
        return null;
    }

    public void Unload(string adapter)
    {
        if (_loaded.Remove(adapter)) executor.UnloadAdapter(adapter);
    }

    private string? FirstUnused(ReadOnlySpan<EngineRequest> running)
    {
        foreach (var adapter in _loaded)
            if (!IsUsed(adapter, running)) return adapter;
        return null;
    }

    private static bool IsUsed(string adapter, ReadOnlySpan<EngineRequest> running)
    {
        foreach (var request in running)
            if (request.Key.Adapter == adapter) return true;
        return false;
    }
}
