using System.Runtime.InteropServices;

namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>How often each run of <see cref="Order"/> tokens occurs.</summary>
internal sealed class NGrams
{
    private readonly Dictionary<string, int> _counts = new(StringComparer.Ordinal);

    public NGrams(IReadOnlyList<string> tokens, int order)
    {
        Order = order;
        for (var i = 0; i + order <= tokens.Count; i++)
        {
            // No token holds a line feed, so joined tokens are as distinct as lists of them.
            var key = order == 1 ? tokens[i] : string.Join('\n', tokens.Skip(i).Take(order));
            CollectionsMarshal.GetValueRefOrAddDefault(_counts, key, out _)++;
            Total++;
        }
    }

    public int Order { get; }
    public int Total { get; }

    /// <summary>Occurrences here that the other has too, each as often as the rarer of both.</summary>
    public int Matches(NGrams other) => Matches([other]);

    /// <summary>The same against several references: each n-gram may be used as often as in the reference that has it most.</summary>
    public int Matches(IReadOnlyList<NGrams> references) =>
        _counts.Sum(entry => Math.Min(entry.Value, references.Max(r => r._counts.GetValueOrDefault(entry.Key))));
}
