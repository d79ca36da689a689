using TokenMill.Web.Features.FineTuning;

namespace TokenMill.Web.Tests.FineTuning;

public sealed class SuggestedRateTests
{
    [Theory]
    [InlineData(5_213_440, 3e-3)]
    [InlineData(134_515_008, 7e-4)]
    [InlineData(1_235_814_400, 2e-4)]
    [InlineData(8_030_261_248, 1e-4)]
    [InlineData(70_000_000_000, 1e-4)]
    [InlineData(0, 3e-3)]
    public void Rate_FallsWithTheSizeOfTheModel(long parameters, double expected) => Assert.Equal(expected, FineTuneSettings.SuggestedRate(parameters), 1e-12);
}
