using System.Runtime.CompilerServices;
using System.Threading.Channels;
using TokenMill.Serving.Host;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>
/// All answers to one request under way at once: <c>n</c> to each of its prompts. They are requests of their own to the engine, which computes
/// a prompt that they share once.
/// </summary>
internal sealed class Answers : IDisposable
{
    private readonly ServedModel _model;
    private readonly int _countPerPrompt;
    private readonly List<Answer> _answers = [];

    /// <param name="end">Ends them all, each with the tokens that it has.</param>
    /// <exception cref="RefusedException">One can never fit, or the queue is full: then none is started.</exception>
    public Answers(ServedModel model, IReadOnlyList<int[]> prompts, CompletionOptions options, CompletionSettings settings, CancellationToken end)
    {
        (_model, _countPerPrompt) = (model, settings.Count);
        if (options.ServiceTier is not null) ServiceTier = settings.Priority == RequestPriority.Batch ? CompletionSettings.BatchTier : "default";
        Model = string.IsNullOrEmpty(options.Model) ? model.Name : options.Model;
        Created = model.Time.GetUtcNow().ToUnixTimeSeconds();
        try
        {
            for (var i = 0; i < prompts.Count * settings.Count; i++)
            {
                var prompt = prompts[i / settings.Count];
                if (prompt.Length == 0) throw Refusals.Invalid("prompt", "the prompt is empty", "send some text");
                // Without a limit an answer may fill the context; at least one token, so that a prompt that fills it is refused with the numbers.
                var maxTokens = settings.MaxTokens ?? Math.Max(1, model.Engine.MaxSequenceTokens - prompt.Length);
                _answers.Add(new Answer(model, prompt, maxTokens, model.AdapterOf(options.Model), options.Tenant ?? "", settings.Priority, settings.OfChoice(i), end));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Model { get; }
    public long Created { get; }

    /// <summary>The tier that was used; null where none was asked for.</summary>
    public string? ServiceTier { get; }
    public int Count => _answers.Count;

    /// <summary>Parts of all answers in the order in which they come; a null part is the end of that answer. Throws if one failed.</summary>
    public async IAsyncEnumerable<(int Index, AnswerPart? Part)> PartsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (_answers is [var only])
        {
            await foreach (var part in only.PartsAsync(cancellationToken)) yield return (0, part);
            yield return (0, null);
            yield break;
        }
        var merged = Channel.CreateUnbounded<(int, AnswerPart?)>(new UnboundedChannelOptions { SingleReader = true });
        var pumps = CompleteAsync(merged.Writer, Task.WhenAll(Enumerable.Range(0, Count).Select(i => PumpAsync(i, merged.Writer, cancellationToken))));
        await foreach (var part in merged.Reader.ReadAllAsync(cancellationToken)) yield return part;
        await pumps;
    }

    /// <summary>Known when the parts have ended.</summary>
    public string FinishReason(int index) => _answers[index].FinishReason;

    /// <summary>Used so far. A prompt counts once, however many answers it has.</summary>
    public Usage Usage => Usage.Of(FirstOfPrompts.Sum(a => a.Request.PromptTokens), FirstOfPrompts.Sum(a => a.Request.CachedTokens), _answers.Sum(a => a.Request.NewTokens));

    /// <summary>From the first token of any answer to the last of all; null as long as one has none.</summary>
    public Timings? Timings
    {
        get
        {
            var requests = _answers.ConvertAll(a => a.Request);
            if (requests.Exists(r => r.FirstTokenAt is null)) return null;
            var (submitted, started) = (requests[0].SubmittedAt, requests.Min(r => r.StartedAt!.Value));
            var (first, last) = (requests.Min(r => r.FirstTokenAt!.Value), requests.Max(r => r.LastTokenAt!.Value));
            var later = requests.Max(r => r.NewTokens) - 1;
            var usage = Usage;
            return new Timings(
                Milliseconds(submitted, started), Milliseconds(started, first), Milliseconds(submitted, first), later > 0 ? Milliseconds(first, last) / later : 0,
                usage.PromptTokens, usage.PromptTokensDetails.CachedTokens, usage.CompletionTokens);
        }
    }

    public void Dispose()
    {
        foreach (var answer in _answers) answer.Dispose();
    }

    private IEnumerable<Answer> FirstOfPrompts => _answers.Where((_, i) => i % _countPerPrompt == 0);

    private async Task PumpAsync(int index, ChannelWriter<(int, AnswerPart?)> writer, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var part in _answers[index].PartsAsync(cancellationToken)) writer.TryWrite((index, part));
            writer.TryWrite((index, null));
        }
        catch (Exception e)                                    // the reader of all answers gets it at once, not when the others have ended
        {
            writer.TryComplete(e);
        }
    }

    private static async Task CompleteAsync(ChannelWriter<(int, AnswerPart?)> writer, Task pumps)
    {
        await pumps;
        writer.TryComplete();
    }

    private double Milliseconds(long from, long to) => Math.Round(_model.Time.GetElapsedTime(from, to).TotalMilliseconds, 3);
}
