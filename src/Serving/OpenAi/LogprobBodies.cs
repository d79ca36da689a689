using System.Text;
using TokenMill.Serving.Sampling;
using TokenMill.Shared.Llama;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>Log-probabilities as the API writes them: chat and plain completions differ.</summary>
internal static class LogprobBodies
{
    public static ChatLogprobs Chat(IReadOnlyList<TokenLogprob> tokens, LlamaVocabulary vocabulary)
    {
        return new ChatLogprobs([.. tokens.Select(t => new ChatLogprobs.Token(Text(t.Token), t.Logprob, Bytes(t.Token), [.. t.Top.Select(Alternative)]))]);

        ChatLogprobs.Alternative Alternative((int Token, double Logprob) other) => new(Text(other.Token), other.Logprob, Bytes(other.Token));
        string Text(int token) => Encoding.UTF8.GetString(vocabulary.Piece(token));
        int[] Bytes(int token) => [.. vocabulary.Piece(token)];
    }

    /// <param name="offset">Characters of the answer's text before these tokens.</param>
    public static CompletionLogprobs Completion(IReadOnlyList<TokenLogprob> tokens, LlamaVocabulary vocabulary, bool withTop, int offset)
    {
        var texts = tokens.Select(t => Text(t.Token)).ToArray();
        var offsets = new int[texts.Length];
        for (var i = 0; i < texts.Length; i++)
        {
            offsets[i] = offset;
            offset += texts[i].Length;
        }
        return new CompletionLogprobs(texts, [.. tokens.Select(t => t.Logprob)], withTop ? [.. tokens.Select(Top)] : null, offsets);

        // Two tokens may have the same text (bytes of a cut character): the likelier one is named.
        IReadOnlyDictionary<string, double> Top(TokenLogprob token) => token.Top.DistinctBy(t => Text(t.Token)).ToDictionary(t => Text(t.Token), t => t.Logprob);
        string Text(int token) => Encoding.UTF8.GetString(vocabulary.Piece(token));
    }
}
