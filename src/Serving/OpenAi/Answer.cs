using TokenMill.Serving.Host;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>An answer under way: its text as it comes, and at the end why it ended, what it used and where the time went.</summary>
internal sealed class Answer : IDisposable
{
    private readonly ServedModel _model;
    private readonly TextGeneration _generation;
    private readonly RunningRequest _running;

    /// <exception cref="RefusedException">It can never fit, or the queue is full.</exception>
    public Answer(ServedModel model, int[] prompt, CompletionOptions options, CompletionSettings settings, CancellationToken cancellationToken)
    {
        _model = model;
        if (prompt.Length == 0) throw Refusals.Invalid("prompt", "the prompt is empty", "send some text");
        _generation = new TextGeneration(model.Vocabulary, settings.Sampling, settings.StopStrings, options.IgnoreEos);
        // Without a limit an answer may fill the context; at least one token, so that a prompt that fills it is refused with the numbers.
        var maxTokens = settings.MaxTokens ?? Math.Max(1, model.Engine.MaxSequenceTokens - prompt.Length);
        _running = model.Start(prompt, maxTokens, model.AdapterOf(options.Model), options.Tenant ?? "", _generation, cancellationToken);
        Model = string.IsNullOrEmpty(options.Model) ? model.Name : options.Model;
        Created = model.Time.GetUtcNow().ToUnixTimeSeconds();
    }

    public string Model { get; }
    public long Created { get; }

    /// <summary>Pieces of text; throws at the end if the answer failed.</summary>
    public async IAsyncEnumerable<string> PartsAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var part in _generation.Parts.ReadAllAsync(cancellationToken)) yield return part;
        var end = await _generation.Ended;
        if (end.Error is { } error) throw new RefusedException(error);
        cancellationToken.ThrowIfCancellationRequested();
        FinishReason = end.Reason == EndReason.Length ? "length" : "stop";
    }

    /// <summary>Known when <see cref="PartsAsync"/> has ended, like the two below.</summary>
    public string FinishReason { get; private set; } = "";

    public Usage Usage => Usage.Of(Request.PromptTokens, Request.CachedTokens, Request.NewTokens);

    public Timings Timings
    {
        get
        {
            var (started, first, last) = (Request.StartedAt!.Value, Request.FirstTokenAt!.Value, Request.LastTokenAt!.Value);
            return new Timings(
                Milliseconds(Request.SubmittedAt, started),
                Milliseconds(started, first),
                Milliseconds(Request.SubmittedAt, first),
                Request.NewTokens > 1 ? Milliseconds(first, last) / (Request.NewTokens - 1) : 0,
                Request.PromptTokens, Request.CachedTokens, Request.NewTokens);
        }
    }

    private EngineRequest Request => _running.Request;

    public void Dispose() => _running.Dispose();

    private double Milliseconds(long from, long to) => Math.Round(_model.Time.GetElapsedTime(from, to).TotalMilliseconds, 3);
}
