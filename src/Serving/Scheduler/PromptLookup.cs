namespace TokenMill.Serving.Scheduler;

/// <summary>
/// Guesses that an answer goes on as the text went on when its last few tokens came before: right where an answer repeats its prompt or itself.
/// How far it guesses follows how well it did. A wrong guess costs time, never an answer: each token is still chosen from the model's own logits.
/// (Idea: prompt lookup decoding.)
/// </summary>
internal sealed class PromptLookup
{
    private const int NGram = 4, LongestMatch = 32;

    public GuessLength Length { get; } = new();

    /// <summary>Tokens that may come next, at most that many; often none.</summary>
    public ReadOnlySpan<int> Guess(ReadOnlySpan<int> tokens, int most)
    {
        if (Length.Pauses() || most <= 0 || tokens.Length <= NGram) return [];
        var next = tokens[AfterLongestMatch(tokens)..];
        return next[..Math.Min(next.Length, Math.Min(Length.Tokens, most))];
    }

    /// <summary>Whether it would guess: the last tokens came before, and guessing went well lately.</summary>
    public bool Knows(ReadOnlySpan<int> tokens) => !Length.IsPausing && tokens.Length > NGram && tokens[..^1].LastIndexOf(tokens[^NGram..]) >= 0;

    /// <summary>Where the text went on after the place that has most of its last tokens in common with its end: of records alike, the one being repeated.</summary>
    private static int AfterLongestMatch(ReadOnlySpan<int> tokens)
    {
        var (end, longest) = (tokens.Length, 0);
        for (var at = tokens[..^1].LastIndexOf(tokens[^NGram..]); at >= 0; at = tokens[..(at + NGram - 1)].LastIndexOf(tokens[^NGram..]))
        {
            var length = NGram;
            while (length <= LongestMatch && at + NGram > length && tokens[at + NGram - 1 - length] == tokens[^(length + 1)]) length++;
            if (length > longest) (end, longest) = (at + NGram, length);
            if (longest > LongestMatch) break;
        }
        return end;
    }
}
