using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;

namespace TokenMill.Web.Commands.Demo;

/// <summary>The good rows of a dataset, in memory: a demo's data is small.</summary>
internal static class DemoData
{
    public static (List<JsonNode> Rows, DatasetReport Report) Read(string path, CancellationToken cancellationToken)
    {
        var reader = new DatasetReader(path, new DatasetReaderOptions { Warnings = false });
        var rows = reader.Rows(cancellationToken).Select(r => (JsonNode)r.Parse()).ToList();
        if (!reader.Report.Accepted)
        {
            var first = reader.Report.Errors[0];
            throw new RefusedException(first.Code, $"{Path.GetFileName(path)} has no usable row: {(first.Row is null ? "" : $"row {first.Row}, ")}{first.Message}", "./run validate lists every row");
        }
        return (rows, reader.Report);
    }
}
