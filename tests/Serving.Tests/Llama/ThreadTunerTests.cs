using TokenMill.Serving.Llama;

namespace TokenMill.Serving.Tests.Llama;

public sealed class ThreadTunerTests
{
    [Fact]
    public void CoresGetBusyAndFreeAgain_ThreadsFollow()
    {
        var time = new ManualTime();
        var tuner = new ThreadTuner(2, time);
        var random = new Random(1);

        // Idle: two threads are nearly twice as fast, and hardly any time is lost by trying one.
        var idle = Run(TimeSpan.FromSeconds(120), threads => threads == 2 ? 8 : 14);
        Assert.Equal(2, tuner.Current);
        Assert.InRange(idle, 7.5, 8.3);

        // Busy: the second thread waits for a core again and again.
        Run(TimeSpan.FromSeconds(5), threads => threads == 2 ? 500 : 30);
        Assert.Equal(1, tuner.Current);
        Assert.InRange(Run(TimeSpan.FromSeconds(300), threads => threads == 2 ? 500 : 30), 29, 33);

        Run(TimeSpan.FromSeconds(65), threads => threads == 2 ? 8 : 14);
        Assert.Equal(2, tuner.Current);

        double Run(TimeSpan duration, Func<int, double> milliseconds)
        {
            var (spent, tokens) = (TimeSpan.Zero, 0);
            while (spent < duration)
            {
                var size = random.Next(20) == 0 ? 64 : 1;
                var threads = tuner.Choose(size);
                var taken = TimeSpan.FromMilliseconds(milliseconds(threads) * size * (0.95 + 0.1 * random.NextDouble()));
                time.Pass(taken);
                tuner.Observe(threads, size, taken);
                (spent, tokens) = (spent + taken, tokens + size);
            }
            return spent.TotalMilliseconds / tokens;
        }
    }

    [Fact]
    public void OneThread_StaysOne()
    {
        var time = new ManualTime();
        var tuner = new ThreadTuner(1, time);
        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(1, tuner.Choose(1));
            tuner.Observe(1, 1, TimeSpan.FromSeconds(1));
            time.Pass(TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public void ManyThreads_BestInTheMiddleIsFound()
    {
        var time = new ManualTime();
        var tuner = new ThreadTuner(12, time);
        for (var i = 0; i < 20_000; i++)
        {
            var threads = tuner.Choose(1);
            var taken = TimeSpan.FromMilliseconds(threads switch { 1 => 40, 2 => 22, 4 => 14, 8 => 20, _ => 60 });
            time.Pass(taken);
            tuner.Observe(threads, 1, taken);
        }
        Assert.Equal(4, tuner.Current);
    }
}
