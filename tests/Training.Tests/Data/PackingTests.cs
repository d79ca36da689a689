using FsCheck;
using FsCheck.Fluent;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Training.Data;

namespace TokenMill.Training.Tests.Data;

public sealed class PackingTests
{
    private const int MaxLength = 64;

    private static readonly Arbitrary<int[]> Lengths = Gen.Choose(1, MaxLength).ArrayOf().Where(lengths => lengths.Length > 0).ToArbitrary();

    [Fact]
    public void Pack_AnyExamples_LosesAndDoublesNoToken() =>
        Prop.ForAll(Lengths, lengths =>
        {
            var examples = Examples(lengths);
            foreach (var packing in new[] { false, true })
            {
                var batch = Packing.Pack(examples, MaxLength, packing);
                Assert.Equal(examples.Count, batch.Segments);
                Assert.Equal(Enumerable.Range(0, examples.Count), batch.SegmentExamples.Order());
                for (var s = 0; s < batch.Segments; s++)
                {
                    var segment = batch.SegmentStarts[s]..batch.SegmentStarts[s + 1];
                    var example = examples[batch.SegmentExamples[s]];
                    Assert.Equal(example.Ids, batch.Ids[segment]);
                    Assert.Equal(Enumerable.Range(0, example.Ids.Length), batch.Positions[segment]);
                    Assert.Equal(EncodedExample.Unsupervised, batch.Labels[batch.SegmentStarts[s]]);
                    Assert.Equal(example.Labels[1..], batch.Labels[segment][1..]);
                }
                Assert.Equal(batch.Tokens, batch.SegmentStarts[^1]);
                Assert.Equal(examples.Sum(e => e.SupervisedTokens), batch.SupervisedTokens);
                Assert.Equal(lengths.Max(), batch.LongestSegment);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Pack_Rows_HoldWholeSegmentsWithinTheLimit() =>
        Prop.ForAll(Lengths, lengths =>
        {
            var batch = Packing.Pack(Examples(lengths), MaxLength, packing: true);
            Assert.All(batch.RowStarts, start => Assert.Contains(start, batch.SegmentStarts));
            var rows = batch.RowStarts.Zip(batch.RowStarts.Skip(1), (start, end) => end - start).ToList();
            Assert.All(rows, tokens => Assert.InRange(tokens, 1, MaxLength));
            // First fit leaves at most one row half empty or emptier; decreasing is within 11/9 of the least possible, plus one.
            var least = (batch.Tokens + MaxLength - 1) / MaxLength;
            Assert.True(rows.Count(tokens => tokens <= MaxLength / 2) <= 1);
            Assert.InRange(batch.Rows, least, lengths.Length);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Pack_KnownLengths_FillsTheRows()
    {
        var batch = Packing.Pack(Examples([40, 24, 50, 14, 32, 32]), MaxLength, packing: true);
        Assert.Equal(3, batch.Rows);
        Assert.Equal([2, 3, 0, 1, 4, 5], batch.SegmentExamples);
    }

    [Fact]
    public void Pack_ExampleBeyondTheLimit_IsABug() =>
        Assert.Throws<ArgumentException>(() => Packing.Pack(Examples([MaxLength + 1]), MaxLength, packing: true));

    private static List<EncodedExample> Examples(int[] lengths)
    {
        var next = 0;
        return [.. lengths.Select(length =>
        {
            var ids = Enumerable.Range(next, length).ToArray();
            next += length;
            return new EncodedExample(ids, [.. ids.Select(id => id % 3 == 0 ? EncodedExample.Unsupervised : id)]);
        })];
    }
}
