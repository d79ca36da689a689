using System.Numerics;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Lengths of rows in tokens, for <see cref="TokenStatistics"/>: a histogram whose buckets grow with the value (64 to each power of two),
/// so that millions of rows take a few kilobytes and percentiles are exact to 1/64.
/// </summary>
public sealed class TokenHistogram(int limit)
{
    private const int BucketsPerOctave = 64, ExactBelow = 64;

    private readonly long[] _buckets = new long[ExactBelow + 26 * BucketsPerOctave];
    private long _rows, _total, _supervised, _tooLong;
    private int _shortest = int.MaxValue, _longest;

    public void Add(int tokens, int supervised)
    {
        _rows++;
        _total += tokens;
        _supervised += supervised;
        if (tokens > limit) _tooLong++;
        _shortest = Math.Min(_shortest, tokens);
        _longest = Math.Max(_longest, tokens);
        _buckets[Bucket(tokens)]++;
    }

    /// <summary>Null before the first row.</summary>
    public TokenStatistics? Statistics() =>
        _rows == 0 ? null : new TokenStatistics(_total, _supervised, _shortest, Percentile(0.5), Percentile(0.95), _longest, _tooLong, limit);

    private int Percentile(double share)
    {
        var rank = Math.Max(1, (long)Math.Ceiling(share * _rows));
        var bucket = 0;
        for (var seen = _buckets[0]; seen < rank; seen += _buckets[bucket]) bucket++;
        return Math.Clamp(LowerBound(bucket), _shortest, _longest);
    }

    private static int Bucket(int tokens)
    {
        if (tokens < ExactBelow) return tokens;
        var octave = BitOperations.Log2((uint)tokens) - 6;
        return ExactBelow + octave * BucketsPerOctave + (tokens >> octave) - BucketsPerOctave;
    }

    private static int LowerBound(int bucket) =>
        bucket < ExactBelow ? bucket : (bucket - ExactBelow) % BucketsPerOctave + BucketsPerOctave << (bucket - ExactBelow) / BucketsPerOctave;
}
