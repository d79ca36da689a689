using TokenMill.Serving.Host;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.OpenAi;

/// <summary>One answer under way: its parts as they come, and at the end why it ended.</summary>
internal sealed class Answer : IDisposable
{
    private readonly TextGeneration _generation;
    private readonly RunningRequest _running;

    /// <exception cref="RefusedException">It can never fit, or the queue is full.</exception>
    public Answer(ServedModel model, int[] prompt, int maxTokens, string? adapter, string tenant, RequestPriority priority, GenerationOptions options, CancellationToken end)
    {
        _generation = new TextGeneration(model.Vocabulary, options);
        _running = model.Start(prompt, maxTokens, adapter, tenant, priority, _generation, end);
    }

    public EngineRequest Request => _running.Request;

    /// <summary>Throws at the end if the answer failed.</summary>
    public async IAsyncEnumerable<AnswerPart> PartsAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var part in _generation.Parts.ReadAllAsync(cancellationToken)) yield return part;
        var end = await _generation.Ended;
        if (end.Error is { } error) throw new RefusedException(error);
        cancellationToken.ThrowIfCancellationRequested();
        FinishReason = end.Reason == EndReason.Length ? "length" : "stop";
    }

    /// <summary>Known when <see cref="PartsAsync"/> has ended.</summary>
    public string FinishReason { get; private set; } = "";

    public void Dispose() => _running.Dispose();
}
