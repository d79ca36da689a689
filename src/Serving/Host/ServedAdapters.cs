using TokenMill.Serving.Llama;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Serving.Host;

/// <summary>
/// The adapters that a process answers for, by the names that clients use. They come and go while requests run; which of them are in memory
/// is the scheduler's affair, to whom each is known by a key that is never used again: what was computed under an adapter
/// cannot be taken for the work of a later one of the same name. Thread-safe.
/// </summary>
internal sealed class ServedAdapters(LlamaModel model, TimeProvider time) : IDisposable
{
    private const int MaxNameLength = 128;

    private readonly Lock _gate = new();                       // guards the three below
    private readonly List<ServedAdapter> _adapters = [];
    private readonly List<ServedAdapter> _leaving = [];        // removed, but used by requests that came before
    private int _added;

    public IReadOnlyList<ServedAdapter> All
    {
        get
        {
            lock (_gate) return [.. _adapters];
        }
    }

    /// <summary>Checks the file before anybody can ask for it.</summary>
    /// <exception cref="RefusedException">adapter-exists, adapter-name, adapter-not-found; the file is broken, or not for this model.</exception>
    public void Add(NamedAdapter adapter)
    {
        RequireFree(adapter.Name);
        var conversion = AdapterConversion.Of(adapter.Path, model.Path);
        try
        {
            using (var file = GgufAdapter.Read(GgufFile.Open(conversion.GgufPath))) file.CheckFits(model.File);
            lock (_gate)
            {
                RequireFree(adapter.Name);                     // another may have come meanwhile
                _adapters.Add(new ServedAdapter(adapter.Name, $"{adapter.Name}#{++_added}", conversion, time.GetUtcNow()));
            }
        }
        catch
        {
            conversion.Dispose();
            throw;
        }
    }

    /// <summary>Nobody finds it by its name any more.</summary>
    /// <returns>What is to be forgotten once nothing uses it.</returns>
    /// <exception cref="RefusedException">model-not-found.</exception>
    public ServedAdapter Remove(string name)
    {
        lock (_gate)
        {
            var adapter = Find(name);
            _adapters.Remove(adapter);
            _leaving.Add(adapter);
            return adapter;
        }
    }

    public void Forget(ServedAdapter adapter)
    {
        lock (_gate) _leaving.Remove(adapter);
        adapter.Dispose();
    }

    /// <summary>What the scheduler and the runner know it by.</summary>
    /// <exception cref="RefusedException">model-not-found.</exception>
    public string KeyOf(string name)
    {
        lock (_gate) return Find(name).Key;
    }

    /// <summary>The file of an adapter by its key; null if it was forgotten.</summary>
    public string? PathOf(string key)
    {
        lock (_gate) return _adapters.Concat(_leaving).FirstOrDefault(a => a.Key == key)?.GgufPath;
    }

    public RefusedException NotFound(string name) =>
        new(new Error("model-not-found", $"there is no model '{name}' here", $"choose one of {string.Join(", ", All.Select(a => a.Name).Prepend(model.Name))}") { Field = "model" });

    public void Dispose()
    {
        foreach (var adapter in _adapters.Concat(_leaving)) adapter.Dispose();
    }

    private ServedAdapter Find(string name) => _adapters.Find(a => a.Name == name) ?? throw NotFound(name);

    private void RequireFree(string name)
    {
        if (name.Length is 0 or > MaxNameLength || name.Any(char.IsControl) || name == model.Name)
            throw new RefusedException(new Error("adapter-name", name == model.Name ? $"'{name}' is the model itself" : $"an adapter's name has 1 to {MaxNameLength} printable characters", "choose another name") { Field = "name" });
        lock (_gate)
            if (_adapters.Exists(a => a.Name == name)) throw new RefusedException(new Error("adapter-exists", $"there is an adapter '{name}' already", "choose another name, or remove that one first") { Field = "name" });
    }
}

/// <summary>One adapter that clients may ask for. Holds its file, if that was made for it.</summary>
internal sealed record ServedAdapter(string Name, string Key, AdapterConversion File, DateTimeOffset AddedAt) : IDisposable
{
    public string GgufPath => File.GgufPath;

    public void Dispose() => File.Dispose();
}
