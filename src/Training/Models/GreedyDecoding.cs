namespace TokenMill.Training.Models;

/// <summary>Always the most probable next token, with cached keys and values.</summary>
public static class GreedyDecoding
{
    /// <param name="isEnd">Tokens that end the answer; they are not part of it.</param>
    public static List<int> Continue(CausalModel model, int[] prompt, int maxTokens, Func<int, bool> isEnd, CancellationToken cancellationToken)
    {
        var tokens = new List<int>(maxTokens);
        if (maxTokens == 0) return tokens;
        using var cache = model.NewCache(prompt.Length + maxTokens);
        var logits = model.Continue(cache, prompt);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var next = Greatest(logits);
            if (isEnd(next)) return tokens;
            tokens.Add(next);
            if (tokens.Count == maxTokens) return tokens;
            logits = model.Continue(cache, [next]);
        }
    }

    private static int Greatest(float[] logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
            if (logits[i] > logits[best]) best = i;
        return best;
    }
}
