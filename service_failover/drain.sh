# Before a gateway proxy is told to end: by bash alone, as the image of Envoy has no HTTP client. Variables: ADMIN (host and port, as /dev/tcp/ wants
# them), QUIET and LONGEST (seconds).

# METHOD PATH: what the admin port answers.
ask() {
    {
        printf '%s %s HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n' "$1" "$2" >&3
        while IFS= read -r line <&3; do printf '%s\n' "$line"; done
    } 3<>"/dev/tcp/$ADMIN"
}

# How many connections clients have, and have had. Those of a failover gateway are not among them: TCP cannot be drained, only ended.
clients() {
    ask GET '/stats?filter=downstream_cx_' | {
        open=0 ever=0
        while read -r name value; do
            case $name in
            http.admin.* | http.readiness.* | http.status.* | http.metrics.*) ;;
            http.*.downstream_cx_active:) ((open += value)) ;;
            http.*.downstream_cx_total:) ((ever += value)) ;;
            esac
        done
        echo "$open $ever"
    }
}

# From here on each answer asks its client to connect anew (HTTP/1.1: connection: close; HTTP/2: GOAWAY), and new connections are still served.
ask POST /healthcheck/fail >/dev/null || exit

# Nobody there, and nobody has been, for so long that every load balancer knows of it.
before= quiet=0
for ((second = 0; second < LONGEST && quiet < QUIET; second++)); do
    sleep 1
    now=$(clients)
    [[ $now == "0 "* && $now == "$before" ]] && ((++quiet)) || quiet=0
    before=$now
done
