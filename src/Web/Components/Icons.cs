namespace TokenMill.Web.Components;

/// <summary>Line icons as paths in a box of 24; drawn by <see cref="Icon"/>.</summary>
public static class Icons
{
    public const string Home = "M4 11.5 12 5l8 6.5V20h-5.5v-5h-5v5H4z";
    public const string Datasets = "M5 6.5c0-2.6 14-2.6 14 0v11c0 2.6-14 2.6-14 0zM5 6.5c0 2.6 14 2.6 14 0M5 12c0 2.6 14 2.6 14 0";
    public const string Models = "M12 3.5 19.5 8v8L12 20.5 4.5 16V8zM4.5 8l7.5 4.5L19.5 8M12 12.5v8";
    public const string FineTunes = "M4 8h9M18 8h2M4 16h3M12 16h8M15.5 5.5v5M9.5 13.5v5";
    public const string Evaluations = "M4 20h16M7 20v-7M12 20V5M17 20v-10";
    public const string Deployments = "M12 15V4M7.5 8.5 12 4l4.5 4.5M4.5 15v5h15v-5";
    public const string Playground = "M4.5 5h15v11h-9l-4.5 4v-4H4.5z";
    public const string Keys = "M15 4.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM11.8 12.2 4.5 19.5M7 17l2.5 2.5M9.5 14.5l2 2";
    public const string Usage = "M4.5 4.5h15v15h-15zM8 15l3-4 2.5 2L16.5 8.5";
    public const string Queue = "M4.5 6.5h15M4.5 12h15M4.5 17.5h9";
    public const string Users = "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.5-4 3-5.5 6.5-5.5s6 1.5 6.5 5.5M15.5 5a3.3 3.3 0 0 1 0 6.3M17.5 14.8c2.3.6 3.7 2.2 4 5.2";
    public const string Settings = "M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.1 2.1M16.3 16.3l2.1 2.1M18.4 5.6l-2.1 2.1M7.7 16.3l-2.1 2.1";
    public const string Search = "M10.5 4.5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15 15l4.5 4.5";
    public const string More = "M5 12h.01M12 12h.01M19 12h.01";
}
