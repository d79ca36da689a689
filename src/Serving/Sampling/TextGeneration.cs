using System.Threading.Channels;
using TokenMill.Serving.Grammars;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Sampling;

/// <summary>What a generation is asked for beside its prompt and its length.</summary>
internal sealed record GenerationOptions
{
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>The answer ends before the first of these.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Goes on after the end of the turn.</summary>
    public bool IgnoresEndOfTurn { get; init; }

    /// <summary>Null: no log-probabilities; otherwise the sampled token's, and those of so many of the likeliest.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>Makes the constraint of one answer; null: free text.</summary>
    public Func<GrammarConstraint>? Grammar { get; init; }

    /// <summary>Control tokens whose text belongs to the answer.</summary>
    public IReadOnlySet<int> VisibleControls { get; init; } = new HashSet<int>();
}

/// <summary>How an answer ended.</summary>
public sealed record AnswerEnd(EndReason Reason, Error? Error);

/// <summary>
/// An answer in the making: samples each token on the engine's thread and hands text to a reader on another one.
/// The channel needs no bound of its own, since an answer is bounded by its limit of tokens: a slow reader costs memory for one answer,
/// and never holds up the engine.
/// </summary>
internal sealed class TextGeneration(LlamaVocabulary vocabulary, GenerationOptions options) : ILogitsConsumer
{
    private static readonly Error TooAmbiguous = new("grammar-too-ambiguous", "the answer can be read in too many ways by the grammar", "make the schema's alternatives differ earlier");

    private readonly GrammarConstraint? _grammar = options.Grammar?.Invoke();
    private readonly AnswerText _text = new(options.StopStrings);
    private readonly Channel<AnswerPart> _parts = Channel.CreateUnbounded<AnswerPart>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly TaskCompletionSource<AnswerEnd> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<(long TextBefore, TokenLogprob Logprob)> _unsent = [];
    private Sampler? _sampler;
    private Error? _failure;
    private long _textSent;
    private int _tokensSent;

    public bool WantsEveryPosition => false;

    /// <summary>Non-empty pieces of text; completes when the answer has ended.</summary>
    public ChannelReader<AnswerPart> Parts => _parts.Reader;

    public Task<AnswerEnd> Ended => _ended.Task;

    /// <summary>All sampled tokens, the one that ended the answer included. Complete once <see cref="Ended"/> is.</summary>
    public List<int> Tokens { get; } = [];

    public Decision OnLogits(int position, ReadOnlySpan<float> logits)
    {
        _sampler ??= new Sampler(options.Sampling, vocabulary.Count, _grammar);
        int token;
        try
        {
            token = _sampler.Sample(logits);
        }
        catch (GrammarAmbiguousException)
        {
            _failure = TooAmbiguous;
            return Decision.End();
        }
        if (token == Sampler.None) return Decision.End();
        Tokens.Add(token);
        if (vocabulary.IsEndOfGeneration(token)) return options.IgnoresEndOfTurn ? Decision.Continue(token) : Decision.End(token);
        if (!vocabulary.IsControl(token) || options.VisibleControls.Contains(token))
        {
            if (options.TopLogprobs is { } top) _unsent.Enqueue((_textSent + _text.Held, TokenLogprob.Of(logits, token, top)));
            Send(_text.Append(vocabulary.Piece(token), vocabulary.Text(token)));
        }
        return _text.Stopped || _grammar is { MustEnd: true } ? Decision.End(token) : Decision.Continue(token);
    }

    public void OnEnded(EndReason reason, Error? error)
    {
        Send(_text.Finish());
        _ended.SetResult(new AnswerEnd(reason, error ?? _failure));        // before the channel completes, so that its reader finds it
        _parts.Writer.Complete();
    }

    private void Send(string text)
    {
        if (text.Length == 0) return;
        _textSent += text.Length;
        // A token goes with the first part that shows some of it; those of a stop string, or of a character that never was finished, go nowhere.
        List<TokenLogprob>? logprobs = null;
        while (_unsent.TryPeek(out var next) && next.TextBefore < _textSent) (logprobs ??= []).Add(_unsent.Dequeue().Logprob);
        _parts.Writer.TryWrite(new AnswerPart(text, Tokens.Count - _tokensSent, logprobs ?? (IReadOnlyList<TokenLogprob>)[]));
        _tokensSent = Tokens.Count;
    }
}
