namespace TokenMill.Serving.Host;

/// <summary>Standard input as held by whoever started the process with <c>--parent-pipe</c>: it closes when they end, however they end.</summary>
internal static class ParentPipe
{
    public static async Task ClosedAsync(CancellationToken cancellationToken)
    {
        await using var pipe = Console.OpenStandardInput();
        var buffer = new byte[256];
        while (await pipe.ReadAsync(buffer, cancellationToken) > 0)
        {
        }
    }
}
