using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Localization;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Components.Layout;

/// <summary>Finds pages and named things of the actor's workspace by a part of their name, newest first.</summary>
public sealed class SearchIndex(PlatformDatabase database, IEnumerable<NavigationEntry> entries, IStringLocalizer localizer)
{
    private const int MaxPerKind = 5;

    public sealed record Hit(string Kind, string Title, string Href);

    public async Task<IReadOnlyList<Hit>> FindAsync(Actor actor, string text, CancellationToken cancellationToken)
    {
        text = text.Trim();
        var pages = entries.Where(e => actor.May(e.Minimum)).OrderBy(e => e.Step).ThenBy(e => e.Order)
            .Select(e => new Hit("Page", localizer[e.Title], e.Href))
            .Where(h => h.Title.Contains(text, StringComparison.CurrentCultureIgnoreCase) || h.Href.Contains(text, StringComparison.OrdinalIgnoreCase)).ToList();
        if (text.Length == 0) return pages;

        var pattern = $"%{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal)}%";
        await using var db = database.Open(actor.WorkspaceId);
        var datasets = await db.Datasets.Where(d => d.DeletedAt == null && EF.Functions.Like(d.Name, pattern, "\\")).OrderByDescending(d => d.Id).Take(MaxPerKind).Select(d => new { d.Id, d.Name }).ToListAsync(cancellationToken);
        var models = await db.Models.Where(m => m.DeletedAt == null && EF.Functions.Like(m.Name, pattern, "\\")).OrderByDescending(m => m.Id).Take(MaxPerKind).Select(m => new { m.Id, m.Name }).ToListAsync(cancellationToken);
        var runs = await db.FineTuneRuns.Where(r => EF.Functions.Like(r.Name, pattern, "\\")).OrderByDescending(r => r.Number).Take(MaxPerKind).Select(r => new { r.Id, r.Name, r.Number }).ToListAsync(cancellationToken);
        var evaluations = await db.EvaluationRuns.Where(e => EF.Functions.Like(e.Name, pattern, "\\")).OrderByDescending(e => e.Id).Take(MaxPerKind).Select(e => new { e.Id, e.Name }).ToListAsync(cancellationToken);
        var deployments = await db.Deployments.Where(d => d.DeletedAt == null && EF.Functions.Like(d.Name, pattern, "\\")).OrderByDescending(d => d.Id).Take(MaxPerKind).Select(d => new { d.Id, d.Name }).ToListAsync(cancellationToken);
        return
        [
            .. pages,
            .. datasets.Select(d => new Hit("Dataset", d.Name, Links.Dataset(d.Id))),
            .. models.Select(m => new Hit("Model", m.Name, Links.Model(m.Id))),
            .. runs.Select(r => new Hit("Fine-tune", $"{r.Name} #{r.Number}", Links.FineTune(r.Id))),
            .. evaluations.Select(e => new Hit("Evaluation", e.Name, Links.Evaluation(e.Id))),
            .. deployments.Select(d => new Hit("Deployment", d.Name, Links.Deployment(d.Id))),
        ];
    }
}
