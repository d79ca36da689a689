using TokenMill.Serving.Llama;
using TokenMill.Serving.OpenAi;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.Host;

/// <summary>A loaded model that gives vectors for texts, and nothing else.</summary>
internal sealed class ServedEmbeddings : IServed
{
    private readonly LlamaModel _model;
    private readonly Embedder _embedder;
    private readonly long _loaded = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

    private ServedEmbeddings(LlamaModel model, Embedder embedder) => (_model, _embedder) = (model, embedder);

    public string Name => Path.GetFileNameWithoutExtension(_model.Path);

    /// <summary>It has no thread of its own that could end.</summary>
    public Task<Exception?> Ended { get; } = new TaskCompletionSource<Exception?>().Task;
    public EngineMetrics Metrics => _embedder.Metrics;

    /// <exception cref="RefusedException">The file is broken or hostile.</exception>
    public static bool IsFor(string path)
    {
        TokenMill.Shared.Llama.ModelPath.Require(path);
        using var file = GgufFile.Open(path);
        return GgufModel.Check(file).Embeds;
    }

    /// <exception cref="RefusedException">adapter-not-supported; the file does not load.</exception>
    public static ServedEmbeddings Load(ServeOptions options, Action<float> progress)
    {
        if (options.Adapters.Count > 0) throw new RefusedException("adapter-not-supported", "an embedding model is served without adapters", "leave out --adapter");
        var model = LlamaModel.Load(options.ModelPath, progress);
        try
        {
            return new ServedEmbeddings(model, new Embedder(model, options.Executor.Threads));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    public void MapRoutes(IEndpointRouteBuilder app, string? secret)
    {
        app.MapPost("/v1/embeddings", context => Embeddings.HandleAsync(context, Name, RequireName, () => _embedder));
        app.MapGet("/v1/models", () => Results.Json(new ModelList([Entry]), Json.Options));
        app.MapGet("/v1/models/{id}", (string id) =>
        {
            RequireName(id);
            return Results.Json(Entry, Json.Options);
        });
        foreach (var path in new[] { "/v1/chat/completions", "/v1/completions", "/v1/responses" })
            app.MapPost(path, void () => throw new RefusedException(new Error("unsupported-model", $"{Name} gives embeddings and writes no text", "ask /v1/embeddings, or another model") { Field = "model" }));
    }

    public void Dispose()
    {
        _embedder.Dispose();
        _model.Dispose();
    }

    private ModelList.Entry Entry => new(Name, _loaded, "tokenmill");

    private string? RequireName(string? model) => string.IsNullOrEmpty(model) || model == Name ? null
        : throw new RefusedException(new Error("model-not-found", $"there is no model '{model}' here", $"the one here is {Name}") { Field = "model" });
}
