using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>The rows that an evaluation asks; always the same ones for the same dataset version and options.</summary>
public sealed class EvaluationRows(DataDirectory data)
{
    /// <summary>Row numbers from 0 with their rows. Where there are too many, the hash of their content chooses.</summary>
    public IReadOnlyList<(int Index, JsonNode Row)> Choose(DatasetVersion dataset, EvaluationOptions options, CancellationToken cancellationToken)
    {
        var path = data.Resolve(dataset.StorePath ?? throw new RefusedException("dataset-missing", "The rows of the dataset are no longer in the store", "import the dataset again"));
        var qualified = Read(path, cancellationToken).Where(r => options.HeldOut is not { } share || r.Row.IsHeldOut(share)).Select(r => (r.Index, r.Row.SplitKey)).ToList();
        var chosen = qualified.OrderBy(r => r.SplitKey).ThenBy(r => r.Index).Take(options.Items(qualified.Count)).Select(r => r.Index).ToHashSet();
        return [.. Read(path, cancellationToken).Where(r => chosen.Contains(r.Index)).Select(r => (r.Index, (JsonNode)r.Row.Parse()))];
    }

    private static IEnumerable<(int Index, DatasetRow Row)> Read(string path, CancellationToken cancellationToken) =>
        new DatasetReader(path, new DatasetReaderOptions { Format = "messages", Warnings = false }).Rows(cancellationToken).Select((row, index) => (index, row));
}
