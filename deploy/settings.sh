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

# The connection string, with the role that owns the tables.
database_url() {
	local url owner
	url=$(setting "$1" database url postgresql:///relaycam)
	owner=$(setting "$1" database owner_user "")
	if [ -z "$owner" ]; then
		echo "$url"
		return
	fi
	case $url in
	postgres://*\?* | postgresql://*\?*) echo "$url&user=$owner" ;;
	postgres://* | postgresql://*) echo "$url?user=$owner" ;;
	*) echo "$url user=$owner" ;;
	esac
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
