namespace TokenMill.Training.Tests.Faults;

/// <summary>The share of wall time that goes into steps that count.</summary>
internal static class EffectiveTime
{
    private const double CheckpointEverySeconds = 60;           // the trainer's default

    /// <summary>At one fault an hour: what checkpoints hold up, what a fault throws away (half an interval on average), and the restart.</summary>
    public static double PerHour(double heldUpSeconds, double restartSeconds) => 1 - heldUpSeconds / CheckpointEverySeconds - (CheckpointEverySeconds / 2 + restartSeconds) / 3600;
}
