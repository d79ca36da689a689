using System.Globalization;
using TokenMill.Shared.Domain;

namespace TokenMill.Benchmarks.Serving;

/// <summary>Each case against our server and the peer's in turns, in one run: only their ratio says something.</summary>
internal static class ServingPairs
{
    public static async Task RunAsync(string model, Uri? peerUrl, int pairs, string[]? names, string folder)
    {
        var adapters = new Lazy<string[]>(() => [.. Enumerable.Range(0, ServingCase.Adapters).Select(i => RandomAdapter.Write(Path.Combine(folder, $"adapter-{i}.gguf"), model, i))]);
        var llama = await LlamaPeer.FindAsync();
        string[] AdaptersOf(ServingCase @case) => @case.NeedsAdapters ? adapters.Value : [];
        Console.WriteLine($"{Path.GetFileName(model)}, {Environment.ProcessorCount} threads, medians of {pairs} in turns, load {Machine.Load()}");
        Console.WriteLine($"{"",-10}{"",-20}{"ours",10}{"peer",10}{"ratio",8}{"library",10}{"of it",7}  wanted");
        foreach (var @case in Chosen(names))
        {
            using var ours = await ServerProcess.OursAsync(model, @case.ContextTokens, AdaptersOf(@case));
            using var started = llama is null || peerUrl is not null ? null : await ServerProcess.PeerAsync(llama.Server, model, @case.ContextTokens, AdaptersOf(@case));
            using var given = peerUrl is null || @case.NeedsAdapters ? null : await GivenAsync(peerUrl);
            await MeasureAsync(@case, ours.Contender, started?.Contender ?? given, llama, model, pairs);
        }
    }

    private static async Task MeasureAsync(ServingCase @case, Contender ours, Contender? peer, LlamaPeer? llama, string model, int pairs)
    {
        var (mine, theirs, bare) = (new List<double[]>(), new List<double[]>(), new List<double>());
        for (var pair = 1; pair <= pairs; pair++)
        {
            mine.Add(await @case.Measure(ours, pair));
            if (peer is not null) theirs.Add(await @case.Measure(peer, pair));
            if (llama is not null && @case.BareLibrary is var (prompt, answer)) bare.Add(await llama.BenchAsync(model, prompt, answer));
        }
        for (var i = 0; i < @case.Figures.Count; i++)
        {
            var (a, b, library) = (Median.Of(mine.Select(m => m[i])), Median.Of(theirs.Select(t => t[i])), i == 0 ? Median.Of(bare) : double.NaN);
            Console.WriteLine($"{(i == 0 ? @case.Name : ""),-10}{@case.Figures[i].Name,-20}{Cell(a, 10)}{Cell(b, 10)}{Cell(a / b, 8)}{Cell(library, 10)}{Cell(a / library, 7)}  {@case.Figures[i].Wanted}");
        }
    }

    private static async Task<Contender> GivenAsync(Uri url)
    {
        using var asking = new Contender("peer", url, "");
        return new Contender("peer", url, await asking.Client.FirstModelAsync(CancellationToken.None));
    }

    private static IEnumerable<ServingCase> Chosen(string[]? names)
    {
        if (names?.FirstOrDefault(n => ServingCase.All.All(c => c.Name != n)) is { } unknown)
            throw new RefusedException("unknown-case", $"there is no case '{unknown}'", $"take {string.Join(", ", ServingCase.All.Select(c => c.Name))}");
        return ServingCase.All.Where(c => names is null || names.Contains(c.Name));
    }

    private static string Cell(double value, int width) => (double.IsFinite(value) ? value.ToString(value < 100 ? "0.00" : "0", CultureInfo.InvariantCulture) : "").PadLeft(width);
}
