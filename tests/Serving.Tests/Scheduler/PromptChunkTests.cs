using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.Tests.Scheduler;

public sealed class PromptChunkTests(ITestOutputHelper output)
{
    /// <summary>A token costs more the longer the prompt is, and once in between everything gets four times as slow, and fast again.</summary>
    [Theory]
    [InlineData(0.2)]
    [InlineData(1.0)]
    public void LongPrompt_PausesStayNearTheLongest_AndTheTimeIsUsed(double millisecondsPerToken)
    {
        var options = new SchedulerOptions();
        var chunk = new PromptChunk(options, mostTokens: 512);
        var pauses = new List<double>();
        for (var position = 0; position < 16_000;)
        {
            var tokens = chunk.Tokens;
            var slow = position is > 6_000 and < 9_000 ? 4 : 1;
            var taken = TimeSpan.FromMilliseconds(slow * (10 + tokens * millisecondsPerToken * (1 + position / 4_000.0)));
            chunk.Observe(tokens, taken);
            pauses.Add(taken / options.LongestGap);
            position += tokens;
        }
        output.WriteLine($"{pauses.Count} steps, pauses as shares of the longest: worst {pauses.Max():0.00}, mean {pauses.Average():0.00}");
        Assert.InRange(pauses.Count(p => p > 1.3), 0, 2);      // the first one, and that in which it got slow
        Assert.True(millisecondsPerToken < 0.5 ? pauses.Count < 60 : pauses.Average() > 0.8);
    }

    /// <summary>A step takes its time for the answers and the weights too: a few tokens in a quick one say nothing against many.</summary>
    [Fact]
    public void LastFewTokensOfAPrompt_LeaveTheChunkAsItIs_UnlessThePauseWasTooLong()
    {
        var options = new SchedulerOptions { PromptTokensBesideAnswers = 400 };
        var chunk = new PromptChunk(options, mostTokens: 512);
        chunk.Observe(5, TimeSpan.FromMilliseconds(60));
        chunk.Observe(1, options.LongestGap);
        Assert.Equal(400, chunk.Tokens);
        chunk.Observe(5, 1.5 * options.LongestGap);
        Assert.InRange(chunk.Tokens, 1, 399);
    }
}
