using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Scheduler;

public enum EndReason
{
    /// <summary>The model ended its turn, a stop string came, or all wanted logits were read.</summary>
    Stop,

    /// <summary>The request's or the model's limit of tokens is reached.</summary>
    Length,
    Cancelled,
    Failed,
}

/// <summary>The next token of a request, or its end; an end may have a last token (the end-of-turn token), which is not computed.</summary>
public readonly record struct Decision(int? Token, bool Ends)
{
    public static Decision Continue(int token) => new(token, false);
    public static Decision End(int? lastToken = null) => new(lastToken, true);
}

/// <summary>What a request does with its logits: samples the next token of a text, or scores given tokens. Called on the engine's thread.</summary>
public interface ILogitsConsumer
{
    /// <summary>True: logits after every prompt token; false: only after the last token.</summary>
    bool WantsEveryPosition { get; }

    /// <summary>Logits that follow the token at <paramref name="position"/>. For positions inside the prompt the answer is ignored.</summary>
    Decision OnLogits(int position, ReadOnlySpan<float> logits);

    /// <summary>Called once, last.</summary>
    void OnEnded(EndReason reason, Error? error);
}
