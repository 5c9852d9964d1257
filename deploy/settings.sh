# For backup and restore: what the settings file says. Sourced by bash.

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# setting FILE SECTION KEY PRESET
setting() {
	awk -v section="$2" -v key="$3" -v value="$4" '
		/^[ \t]*[#;]/ { next }
		/^[ \t]*\[/ {
			here = $0
			gsub(/^[ \t]*\[|\].*$/, "", here)
			next
		}
		here == section && (i = index($0, "=")) > 0 {
			name = substr($0, 1, i - 1)
			gsub(/[ \t]/, "", name)
			if (name == key) {
				value = substr($0, i + 1)
				sub(/[ \t];.*$/, "", value)
				gsub(/^[ \t]+|[ \t\r]+$/, "", value)
			}
		}
		END { print value }' "$1"
}

# Lets libpq's programs connect as the role that owns the tables, by
# "service=relaycam": their arguments, which all accounts of the machine can
# read, name no password. FOLDER: of this script's own, removed by it at the end.
# prepare_database CONFIG FOLDER
prepare_database() {
	local relaycam=${RELAYCAM:-relaycam}
	command -v "$relaycam" >/dev/null || die "there is no program $relaycam"
	"$relaycam" --config "$1" migrate --service >"$2/service" ||
	    die "the connection to the database cannot be read from $1"
	export PGSERVICEFILE=$2/service
}

# "NAME<TAB>PATH" of each key and certificate, those that are not set left out.
key_files() {
	local section key preset path
	while read -r section key preset; do
		path=$(setting "$1" "$section" "$key" "$preset")
		[ -z "$path" ] || printf '%s.%s\t%s\n' "$section" "$key" "$path"
	done <<END
secrets seal_key_file /etc/relaycam/seal.key
secrets evidence_key_file /var/lib/relaycam/evidence.key
store link_key_file /etc/relaycam/link.key
store s3_access_key_file
store s3_ca_file
relay tls_cert_file /etc/relaycam/tls.crt
relay tls_key_file /etc/relaycam/tls.key
relay public_ca_file
storage tls_cert_file /etc/relaycam/tls.crt
storage tls_key_file /etc/relaycam/tls.key
storage capture_key_file /var/lib/relaycam/capture.key
console tls_cert_file /etc/relaycam/tls.crt
console tls_key_file /etc/relaycam/tls.key
console provider_ca_file
END
}
