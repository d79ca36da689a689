using System.Globalization;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Commands;

/// <summary>A plan for people.</summary>
internal static class PlanText
{
    public static IEnumerable<string> Lines(FineTunePlan plan)
    {
        yield return $"time        {Time(plan.Seconds.Expected)} ({Time(plan.Seconds.Low)} to {Time(plan.Seconds.High)})";
        yield return $"steps       {N(plan.Steps)}";
        yield return $"an epoch    {N(plan.RowsPerEpoch)} rows, {N(plan.TokensPerEpoch)} tokens, packed into {N(plan.PackedRowsPerEpoch)} rows{(plan.Sampled ? " (estimated from a part of the data)" : "")}";
        yield return $"trained     {N(plan.TrainableParameters)} of {N(plan.Parameters)} parameters";
        yield return $"checkpoint  {Size(plan.CheckpointBytes)}";
        yield return $"memory      {Size(plan.PeakMemoryBytes)} at its peak; {Size(plan.AvailableMemoryBytes)} are free: {(plan.Fits ? "fits" : "DOES NOT FIT")}";
        foreach (var (part, bytes) in plan.Memory.OrderByDescending(part => part.Value)) yield return $"  {Size(bytes),10}  {part.Replace('_', ' ')}";
        foreach (var advice in plan.Advice) yield return $"to make it fit: {advice.Field} {advice.From} → {advice.To}: {advice.Why}";
    }

    private static string N(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static string Size(long bytes) => bytes >= 1L << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.00} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):0.0} MiB");

    private static string Time(double seconds) => TimeSpan.FromSeconds(seconds) switch
    {
        { TotalHours: >= 1 } span => $"{(long)span.TotalHours} h {span.Minutes:00} min",
        { TotalMinutes: >= 1 } span => $"{span.Minutes} min {span.Seconds:00} s",
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s"),
    };
}
