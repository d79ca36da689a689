using System.Security.Cryptography;
using TokenMill.Serving.PrefixCache;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Host;

/// <summary>Moves conversations between processes that serve the same model: the same file, the same adapter, the same kind of runner.</summary>
internal sealed class SequenceMoves(ServedModel model, string modelPath)
{
    private readonly Lazy<string> _modelHash = new(() => HashOf(modelPath));

    /// <exception cref="RefusedException">model-not-found, state-not-held, state-not-movable, state-too-large, state-not-saved, engine-busy.</exception>
    public async Task<SavedSequence> SaveAsync(int[] tokens, string? adapter, string tenant)
    {
        var key = KeyOf(adapter, tenant);
        var adapterHash = AdapterHash(key, adapter);           // now: while the engine saves, another adapter may come under the name
        var (held, state) = await model.Engine.SaveAsync(key, tokens, SavedSequence.MaxStateBytes);
        return new SavedSequence(new(_modelHash.Value, model.Engine.StateFormat!, adapter, adapterHash, tokens[..held], state.Length), state);
    }

    /// <exception cref="RefusedException">state-other-model, state-other-adapter, state-other-runner, state-refused, state-not-movable, engine-busy.</exception>
    public Task RestoreAsync(SavedSequence saved, string tenant)
    {
        var about = saved.About;
        if (about.ModelSha256 != _modelHash.Value) throw new RefusedException("state-other-model", $"the state is of a model with SHA-256 {about.ModelSha256}, this one has {_modelHash.Value}", "restore it where the same file is served");
        if (model.Engine.StateFormat is { } format && about.StateFormat != format) throw new RefusedException("state-other-runner", $"the state is laid out for '{about.StateFormat}', this process needs '{format}'", "start both with the same --kv-type, and the same version");
        var adapter = model.AdapterOf(about.Adapter);
        var key = KeyOf(adapter, tenant);
        if (about.AdapterSha256 != AdapterHash(key, adapter)) throw new RefusedException("state-other-adapter", $"'{about.Adapter}' is another adapter here", "restore it where the same adapter is served");
        return model.Engine.RestoreAsync(key, about.Tokens, saved.State);
    }

    private CacheKey KeyOf(string? adapter, string tenant) => new(tenant, adapter is null ? null : model.Adapters.KeyOf(adapter));

    private string? AdapterHash(CacheKey key, string? adapter) => key.Adapter is null ? null : HashOf(model.Adapters.PathOf(key.Adapter) ?? throw model.Adapters.NotFound(adapter!));

    private static string HashOf(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }
}
