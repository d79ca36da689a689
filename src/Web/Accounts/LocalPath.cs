namespace TokenMill.Web.Accounts;

/// <summary>Where to go after signing in: only within the portal, whatever the link said.</summary>
public static class LocalPath
{
    public static string Of(string? asked) =>
        asked is ['/', ..] && !asked.StartsWith("//", StringComparison.Ordinal) && !asked.Contains('\\') && !asked.Any(char.IsControl) ? asked : "/";
}
