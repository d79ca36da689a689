using System.Threading.Channels;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Sampling;

/// <summary>How an answer ended.</summary>
public sealed record AnswerEnd(EndReason Reason, Error? Error);

/// <summary>
/// An answer in the making: samples each token on the engine's thread and hands text to a reader on another one.
/// The channel needs no bound of its own, since an answer is bounded by its limit of tokens: a slow reader costs memory for one answer,
/// and never holds up the engine.
/// </summary>
public sealed class TextGeneration(LlamaVocabulary vocabulary, SamplingOptions sampling, IReadOnlyList<string> stopStrings, bool ignoreEndOfTurn) : ILogitsConsumer
{
    private readonly Sampler _sampler = new(sampling, vocabulary.Count);
    private readonly AnswerText _text = new(stopStrings);
    private readonly Channel<string> _parts = Channel.CreateUnbounded<string>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly TaskCompletionSource<AnswerEnd> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool WantsEveryPosition => false;

    /// <summary>Non-empty pieces of text; completes when the answer has ended.</summary>
    public ChannelReader<string> Parts => _parts.Reader;

    public Task<AnswerEnd> Ended => _ended.Task;

    /// <summary>All sampled tokens, the one that ended the answer included. Complete once <see cref="Ended"/> is.</summary>
    public List<int> Tokens { get; } = [];

    public Decision OnLogits(int position, ReadOnlySpan<float> logits)
    {
        var token = _sampler.Sample(logits);
        Tokens.Add(token);
        if (vocabulary.IsEndOfGeneration(token)) return ignoreEndOfTurn ? Decision.Continue(token) : Decision.End(token);
        if (!vocabulary.IsControl(token)) Send(_text.Append(vocabulary.Piece(token)));
        return _text.Stopped ? Decision.End(token) : Decision.Continue(token);
    }

    public void OnEnded(EndReason reason, Error? error)
    {
        Send(_text.Finish());
        _ended.SetResult(new AnswerEnd(reason, error));        // before the channel completes, so that its reader finds it
        _parts.Writer.Complete();
    }

    private void Send(string text)
    {
        if (text.Length > 0) _parts.Writer.TryWrite(text);
    }
}
