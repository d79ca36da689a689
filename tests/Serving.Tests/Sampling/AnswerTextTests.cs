using System.Text;
using TokenMill.Serving.Sampling;

namespace TokenMill.Serving.Tests.Sampling;

public sealed class AnswerTextTests
{
    [Fact]
    public void Append_RandomTextsCutAnywhere_GivesTheTextBeforeTheFirstStopString()
    {
        string[] alphabet = ["a", "b", "ab", "é", "😀", "訓", " ", "\n"];
        for (var seed = 0; seed < 3_000; seed++)
        {
            var random = new Random(seed);
            var text = Random(random, 30);
            string[] stops = [.. Enumerable.Range(0, random.Next(4)).Select(_ => Random(random, 3)).Where(s => s.Length > 0)];
            var answer = new AnswerText(stops);
            var (bytes, seen) = (Encoding.UTF8.GetBytes(text), new StringBuilder());
            for (var at = 0; at < bytes.Length && !answer.Stopped;)
            {
                var count = Math.Min(bytes.Length - at, random.Next(1, 5));
                var part = answer.Append(bytes.AsSpan(at, count));
                Assert.DoesNotContain('\uFFFD', part);
                Assert.False(part.Length > 0 && (char.IsHighSurrogate(part[^1]) || char.IsLowSurrogate(part[0])), "a character was cut");
                seen.Append(part);
                at += count;
            }
            seen.Append(answer.Finish());

            var stop = stops.Select(s => text.IndexOf(s, StringComparison.Ordinal)).Where(i => i >= 0).Order().FirstOrDefault(-1);
            Assert.Equal(stop >= 0, answer.Stopped);
            Assert.Equal(stop < 0 ? text : text[..stop], seen.ToString());
        }

        string Random(Random random, int most) => string.Concat(Enumerable.Range(0, random.Next(most)).Select(_ => alphabet[random.Next(alphabet.Length)]));
    }

    [Fact]
    public void Finish_InsideACharacter_DropsItsBytes()
    {
        var answer = new AnswerText([]);
        Assert.Equal("a", answer.Append([(byte)'a', 0xF0, 0x9F]));
        Assert.Equal("", answer.Finish());
    }

    [Fact]
    public void Append_PossibleBeginningOfAStop_IsHeldUntilItIsNone()
    {
        var answer = new AnswerText(["</end>"]);
        Assert.Equal("x", answer.Append("x</e"u8));
        Assert.Equal("</ex", answer.Append("x"u8));
        Assert.Equal("y", answer.Append("y</end"u8));
        Assert.Equal("", answer.Append(">tail"u8));
        Assert.True(answer.Stopped);
    }
}
