namespace TokenMill.Serving.Scheduler;

/// <summary>Counts of observed seconds in fixed buckets. Written by one thread, read by any.</summary>
public sealed class Histogram(params double[] upperBounds)
{
    private readonly long[] _counts = new long[upperBounds.Length + 1];
    private double _sum;

    public IReadOnlyList<double> UpperBounds => upperBounds;
    public double Sum => Volatile.Read(ref _sum);

    /// <summary>Observations per bucket, the last one without a bound; not cumulated.</summary>
    public long[] Counts() => [.. _counts.Select((_, i) => Volatile.Read(ref _counts[i]))];

    public void Observe(TimeSpan time)
    {
        var index = 0;
        while (index < upperBounds.Length && time.TotalSeconds > upperBounds[index]) index++;
        Volatile.Write(ref _sum, _sum + time.TotalSeconds);
        Interlocked.Increment(ref _counts[index]);
    }
}
