using System.Text.Json.Nodes;
using TokenMill.Serving.Grammars;
using TokenMill.Serving.Llama;
using TokenMill.Serving.OpenAi;
using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Serving.ToolCalls;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Host;

/// <summary>A loaded model with its adapters, its vocabulary, its template and its engine: everything a request needs.</summary>
internal sealed class ServedModel : IServed
{
    private readonly LlamaModel _model;
    private readonly LlamaExecutor _executor;
    private readonly DraftLlama? _draft;
    private readonly Lazy<ConversationEncoder> _encoder;
    private readonly Lazy<Embedder> _embedder;

    private ServedModel(LlamaModel model, LlamaExecutor executor, DraftLlama? draft, ServedAdapters adapters, SchedulerOptions scheduling, TimeProvider time)
    {
        _draft = draft;
        (_model, _executor, Adapters, Time) = (model, executor, adapters, time);
        _embedder = new(() => new Embedder(model, threads: 1));
        Grammars = new GrammarCache(model.Vocabulary);
        Markup = new ModelMarkup(model.File, model.Vocabulary);
        _encoder = new(() => ConversationEncoder.For(ChatTemplate.ForModel(model.File), model.Vocabulary));
        Moves = new SequenceMoves(this, model.Path);
        Engine = new EngineLoop(executor, scheduling with { MaxRunning = executor.MaxRunning, StepTokens = executor.MaxStepTokens }, time, draft?.Executor);
    }

    public Task<Exception?> Ended => Engine.Ended;
    public EngineMetrics Metrics => Engine.Metrics;

    public string Name => _model.Name;
    public ServedAdapters Adapters { get; }
    public LlamaVocabulary Vocabulary => _model.Vocabulary;
    public EngineLoop Engine { get; }
    public SequenceMoves Moves { get; }
    public TimeProvider Time { get; }
    public GrammarCache Grammars { get; }
    public ModelMarkup Markup { get; }

    /// <summary>The same model as one that gives vectors, with a context of its own that is made when it is first asked.</summary>
    public Embedder Embedder => _embedder.Value;

    /// <summary>Conversations as tokens, as the trainer makes them too.</summary>
    /// <exception cref="RefusedException">There is no chat template, or it cannot be used: the model can complete text but not chat.</exception>
    public ConversationEncoder Encoder => _encoder.Value;

    /// <summary>Token ids of a conversation, ready to be answered.</summary>
    /// <exception cref="TemplateException">The template does not take it.</exception>
    public int[] Encode(JsonArray messages, JsonArray? tools, JsonObject? extra) => Encoder.Prompt(messages, tools, extra);

    /// <summary>The adapter that a request's <c>model</c> means; null is the base, which an absent name means too.</summary>
    /// <exception cref="RefusedException">model-not-found.</exception>
    public string? AdapterOf(string? model)
    {
        if (string.IsNullOrEmpty(model) || model == Name) return null;
        Adapters.KeyOf(model);
        return model;
    }

    /// <summary>Takes an adapter in while others are used.</summary>
    /// <exception cref="RefusedException">adapter-exists, adapter-name; the file is broken, or not for this model.</exception>
    public void AddAdapter(NamedAdapter adapter) => Adapters.Add(adapter);

    /// <summary>From now on nobody finds it; those that use it finish, then it leaves memory.</summary>
    /// <exception cref="RefusedException">model-not-found.</exception>
    public void RemoveAdapter(string name)
    {
        var removed = Adapters.Remove(name);
        Engine.RetireAdapter(removed.Key, () => Adapters.Forget(removed));
    }

    /// <summary>Loads everything and computes once, so that the first request is not the slow one.</summary>
    /// <exception cref="RefusedException">A file is broken, hostile, or does not fit; the machine cannot run it.</exception>
    public static ServedModel Load(string path, IReadOnlyList<NamedAdapter> adapters, LlamaExecutorOptions options, SchedulerOptions? scheduling = null, Action<float>? progress = null, string? draftPath = null)
    {
        var model = LlamaModel.Load(path, progress);
        if (model.Embeds)
        {
            model.Dispose();
            throw new RefusedException("not-servable", $"{System.IO.Path.GetFileName(path)} gives embeddings and writes no text", "choose a model that writes text");
        }
        LlamaExecutor? executor = null;
        DraftLlama? draft = null;
        var served = new ServedAdapters(model, TimeProvider.System);
        try
        {
            foreach (var adapter in adapters) served.Add(adapter);
            executor = new LlamaExecutor(model, options, served.PathOf);
            executor.WarmUp();
            if (draftPath is not null) draft = DraftLlama.Load(draftPath, model, executor, options);
            return new ServedModel(model, executor, draft, served, scheduling ?? new SchedulerOptions(), TimeProvider.System);
        }
        catch
        {
            draft?.Executor.Dispose();
            draft?.Dispose();
            executor?.Dispose();
            served.Dispose();
            model.Dispose();
            throw;
        }
    }

    /// <summary>Submits a request; cancelling the token, or disposing what is returned, ends it within a step.</summary>
    public RunningRequest Start(ReadOnlySpan<int> prompt, int maxNewTokens, string? adapter, string tenant, ILogitsConsumer consumer, CancellationToken cancellationToken) =>
        Start(prompt, maxNewTokens, adapter, tenant, RequestPriority.Interactive, consumer, cancellationToken);

    public RunningRequest Start(ReadOnlySpan<int> prompt, int maxNewTokens, string? adapter, string tenant, RequestPriority priority, ILogitsConsumer consumer, CancellationToken cancellationToken)
    {
        var request = new EngineRequest(prompt, maxNewTokens, new CacheKey(tenant, adapter is null ? null : Adapters.KeyOf(adapter)), consumer) { Priority = priority };
        Engine.Submit(request);
        return new RunningRequest(Engine, request, cancellationToken);
    }

    public async Task<Scores> ScoreAsync(int[] ids, string? adapter, CancellationToken cancellationToken)
    {
        var scoring = new PromptScoring(ids);
        using var running = Start(ids, 0, adapter, "", scoring, cancellationToken);
        return await scoring.Scores;
    }

    /// <summary>Between two steps, so at once for whoever waits for tokens.</summary>
    public Task<int> SetThreadsAsync(int threads) => Engine.Call(() =>
    {
        _executor.SetThreads(threads);
        _draft?.Executor.SetThreads(threads);
        return threads;
    });

    public void MapRoutes(IEndpointRouteBuilder app, string? secret)
    {
        var endable = new EndableRequests();
        app.MapOpenAi(this, endable);
        app.MapInternal(this, endable, secret);
    }

    public void Dispose()
    {
        if (_embedder.IsValueCreated) _embedder.Value.Dispose();
        Engine.Dispose();                                      // and with it the executors
        _draft?.Dispose();
        Adapters.Dispose();
        _model.Dispose();
    }
}
